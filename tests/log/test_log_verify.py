"""What was done to a log is found, and its first bad record is named."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from scopebound_engine.log.flaws import Flaw
from scopebound_engine.log.sources import sources
from scopebound_engine.log.verify import Report, verify
from tests.log.tampering import KEY, TAMPERINGS, Expected, Sample, sample

CASES = int(os.environ.get("SCOPEBOUND_TEST_TAMPERINGS", "110"))


def verified(folder: Path, *more: Path) -> Report:
    return verify(sources([folder]), [KEY.verifier], more)


def assert_found(found: Flaw, expected: Expected, journal: Sample, folder: Path) -> None:
    assert found.kind in expected.kinds
    if found.kind == "checkpoint":
        notes = journal.notes[: expected.index]
        assert found.place.line == 1 + sum(note.count(b"\n") + 1 for note in notes)
        return
    assert expected.first <= found.seq <= found.until
    if found.kind not in {"missing", "truncated"}:
        assert found.until <= expected.last
    if expected.index is not None:
        place = journal.where(folder, expected.index)
        assert (found.place.file, found.place.line) == place


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_every_tampering_is_found_and_its_first_bad_record_named(
    tmp_path: Path, tamper: Callable[[random.Random, Sample], Expected]
) -> None:
    cases = -(-CASES // len(TAMPERINGS))
    for case in range(cases):
        dice = random.Random(f"{tamper.__name__} {case}")
        journal, folder = sample(dice), tmp_path / str(case)
        folder.mkdir()
        journal.write(folder)
        assert verified(folder).flaws == []
        expected = tamper(dice, journal)
        journal.write(folder)
        flaws = verified(folder).flaws
        assert flaws, f"case {case}: nothing found; {expected}"
        try:
            assert_found(flaws[0], expected, journal, folder)
        except AssertionError as error:
            raise AssertionError(f"case {case}: {expected}, found {flaws}") from error
