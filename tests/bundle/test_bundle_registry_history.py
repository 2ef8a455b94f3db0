"""A node's own copies: checked at every load, mended from the database, never served damaged."""

import hashlib
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scopebound_engine.bundle.registry.history import NAMED_SECONDS, History
from scopebound_engine.bundle.registry.registry import BundleVersion
from scopebound_engine.errors import BundleError, DatabaseUnavailableError
from tests.clocks import Clock

DATA = b"the archive, as it was uploaded"
OTHER = b"another archive"


def version(data: bytes = DATA, second: int = 1) -> BundleVersion:
    return BundleVersion(
        id=f"id-{second}",
        name="sample",
        version=f"1.0.{second}",
        checksum=hashlib.sha256(data).hexdigest(),
        identity="",
        key_id="",
        bundle_path=f"bundle-history/bundle-20260429-1200{second:02}.tar.gz",
        description="",
        uploaded_at=datetime(2026, 4, 29, tzinfo=UTC),
        uploaded_by="",
        warnings=(),
        activated_at=None,
        generation=None,
    )


VERSION = version()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(tmp_path: Path, clock: Clock) -> History:
    return History(tmp_path, monotonic=clock)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where the copy of VERSION lies."""
    return tmp_path / VERSION.bundle_path


def never() -> bytes:
    pytest.fail("the database was asked")


def row(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def test_a_first_load_fetches_the_bytes_and_keeps_a_private_copy(
    history: History, copy: Path
) -> None:
    assert history.load(VERSION, row(DATA)) == DATA
    assert copy.read_bytes() == DATA
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert history.problems == ()


def test_a_sound_copy_is_answered_without_the_database(history: History) -> None:
    history.load(VERSION, row(DATA))
    assert history.load(VERSION, never) == DATA


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"\0", b"T" + DATA[1:]])
def test_a_damaged_copy_is_mended_and_named_for_a_while(
    history: History, copy: Path, clock: Clock, damage: bytes
) -> None:
    history.load(VERSION, row(DATA))
    copy.write_bytes(damage)
    assert history.load(VERSION, row(DATA)) == DATA
    assert copy.read_bytes() == DATA
    [problem] = history.problems
    assert str(copy) in problem
    assert "written anew" in problem
    history.load(VERSION, never)
    assert history.problems == (problem,)
    clock.now += NAMED_SECONDS
    assert history.problems == ()


def test_what_is_damaged_in_both_places_is_never_answered(history: History, copy: Path) -> None:
    history.load(VERSION, row(DATA))
    copy.write_bytes(OTHER)
    with pytest.raises(BundleError, match="corrupt") as caught:
        history.load(VERSION, row(OTHER))
    assert caught.value.findings[0].file == VERSION.bundle_path
    assert copy.read_bytes() == OTHER
    assert any("copy is damaged" in problem for problem in history.problems)
    assert any("the database's bytes" in problem for problem in history.problems)


def test_a_damaged_row_does_not_become_a_copy(history: History, copy: Path) -> None:
    with pytest.raises(BundleError, match="corrupt"):
        history.load(VERSION, row(OTHER))
    assert not copy.exists()


def test_once_the_bytes_are_restored_nothing_is_wrong_any_more(
    history: History, copy: Path
) -> None:
    with pytest.raises(BundleError):
        history.load(VERSION, row(OTHER))
    history.audit([VERSION], lambda _: DATA)
    assert history.problems == ()
    assert copy.read_bytes() == DATA


def test_an_audit_finds_a_damaged_row_behind_a_sound_copy(history: History) -> None:
    history.load(VERSION, row(DATA))
    history.audit([VERSION], lambda _: OTHER)
    [problem] = history.problems
    assert VERSION.id in problem
    assert "the database's bytes" in problem
    assert history.load(VERSION, never) == DATA
    history.audit([VERSION], lambda _: DATA)
    assert history.problems == ()


def test_an_audit_looks_at_every_version_whatever_it_finds(
    history: History, tmp_path: Path
) -> None:
    lost, damaged, missing = version(b"a", 1), version(b"b", 2), version(b"c", 3)
    history.load(damaged, row(b"b"))
    (tmp_path / damaged.bundle_path).write_bytes(OTHER)
    rows = {lost.id: OTHER, damaged.id: b"b", missing.id: b"c"}
    history.audit([lost, damaged, missing], rows.__getitem__)
    assert (tmp_path / damaged.bundle_path).read_bytes() == b"b"
    assert (tmp_path / missing.bundle_path).read_bytes() == b"c"
    problems = "\n".join(history.problems)
    assert lost.id in problems
    assert damaged.id in problems
    assert missing.id not in problems


def test_without_the_database_a_damaged_copy_is_no_bundle(history: History, copy: Path) -> None:
    history.load(VERSION, row(DATA))
    copy.write_bytes(OTHER)

    def away() -> bytes:
        raise DatabaseUnavailableError("away")

    with pytest.raises(DatabaseUnavailableError):
        history.load(VERSION, away)


@pytest.mark.parametrize(
    "path",
    [
        "../api-key",
        "/etc/passwd",
        "bundle-history/../api-key",
        "bundle-history/bundle-20260429-120001.tar.gz/x",
        "bundle-history/bundle-20260429-120001.tar.gz\n",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_not_followed(history: History, path: str) -> None:
    with pytest.raises(BundleError, match="bundle_path"):
        history.load(replace(VERSION, bundle_path=path), row(DATA))
    assert any("bundle_path" in problem for problem in history.problems)


def test_a_folder_that_cannot_be_written_is_named_and_the_bytes_are_answered(
    history: History, copy: Path
) -> None:
    copy.parent.write_bytes(b"a file in the way")
    assert history.load(VERSION, row(DATA)) == DATA
    [problem] = history.problems
    assert "cannot be written" in problem
    copy.parent.unlink()
    history.load(VERSION, row(DATA))
    assert history.problems == ()


def test_what_was_wrong_with_a_version_that_is_removed_is_wrong_no_more(history: History) -> None:
    history.audit([VERSION], lambda _: OTHER)
    history.forget_all_but([VERSION])
    assert history.problems
    history.forget_all_but([])
    assert history.problems == ()


def test_copies_of_versions_that_are_not_kept_are_removed(history: History, tmp_path: Path) -> None:
    kept, gone = version(b"a", 1), version(b"b", 2)
    for one, data in ((kept, b"a"), (gone, b"b")):
        history.load(one, row(data))
    notes = tmp_path / "bundle-history/notes.txt"
    notes.touch()
    fresh = tmp_path / "bundle-history/.bundle-20260429-120009.tar.gz.1.part"
    fresh.touch()
    history.forget_all_but([kept])
    assert sorted(notes.parent.iterdir()) == sorted([fresh, notes, tmp_path / kept.bundle_path])
