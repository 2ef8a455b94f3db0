"""`log verify` says whether a log is sound; its exit code is for scripts."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli.main import cli
from tests.log.tampering import KEY, NODE, Sample, sample, sealed
from tests.servers import make_prepared


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["log", *map(str, arguments)])


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """A journal of 30 records in the folder `log`; the current folder is above it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(tmp_path / "data"))
    Path("log").mkdir()
    Path("empty").mkdir()
    Path("key").write_text(f"{KEY.verifier}\n")
    made = sample(random.Random(1), 30)
    made.sizes = [10, 20]
    made.notes = [sealed(made.lines, size) for size in made.sizes]
    made.write(Path("log"))
    return made


def test_a_sound_log_is_0_and_what_was_not_checked_is_said(journal: Sample) -> None:
    result = run("verify", "log", "--key", "key")
    assert result.exit_code == 0
    assert "records 1 to 30 follow one another, checkpoints vouch up to 20" in result.output
    assert "records 21 to 30" in result.output
    assert "nothing wrong was found" in result.output


def test_a_flaw_is_1_and_names_the_record(journal: Sample) -> None:
    journal.lines[6] = journal.lines[6].replace(b'"event"', b'"Event"')
    journal.write(Path("log"))
    result = run("verify", "log", "--key", KEY.verifier)
    assert result.exit_code == 1
    assert "record 7: the record was altered" in result.output
    assert ".jsonl:" in result.output
    document = json.loads(run("verify", "log", "--key", "key", "--json").output)
    [flaw] = document["flaws"]
    assert (document["sound"], flaw["kind"], flaw["seq"], flaw["until"]) == (False, "altered", 7, 7)
    assert flaw["node"] == NODE


def test_a_checkpoint_kept_elsewhere_tells_of_a_cut(journal: Sample) -> None:
    del journal.lines[15:], journal.places[15:], journal.notes[1:]
    journal.write(Path("log"))
    assert run("verify", "log", "--key", "key").exit_code == 0
    Path("kept").write_bytes(sealed(sample(random.Random(1), 30).lines, 20))
    result = run("verify", "log", "--key", "key", "--checkpoint", "kept")
    assert result.exit_code == 1
    assert "records 16 to 20 are missing" in result.output


def test_without_a_key_it_says_what_that_means(journal: Sample) -> None:
    result = run("verify", "log")
    assert result.exit_code == 0
    assert "no key was given" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["key", "--key", "no+key"],
        ["log", "--key", "nowhere"],
        ["log", "--key", "log"],
        ["log", "--key", "key", "--checkpoint", "nowhere"],
        ["empty"],
    ],
)
def test_what_cannot_be_verified_is_2(journal: Sample, arguments: list[str]) -> None:
    assert run("verify", *arguments).exit_code == 2


def test_a_node_verifies_its_own_log_with_its_own_key(journal: Sample, tmp_path: Path) -> None:
    make_prepared(tmp_path / "data")
    shown = run("key")
    assert shown.exit_code == 0
    assert shown.output.startswith("scopebound-engine/")
    assert run("key", "--all").output == shown.output
    (tmp_path / "own").write_text(shown.output)
    assert run("verify").exit_code == 0
    assert run("verify", tmp_path / "data", "--key", "own").exit_code == 0
