"""A file is there whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from scopebound_engine import whole_file


@pytest.fixture
def umask() -> object:
    former = os.umask(0o077)
    yield
    os.umask(former)


@pytest.mark.usefixtures("umask")
def test_a_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for mode in (0o600, 0o644):
        whole_file.write(file, b"x", mode=mode)
        assert stat.S_IMODE(file.stat().st_mode) == mode
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_readers_see_the_old_or_the_new(tmp_path: Path) -> None:
    file = tmp_path / "a"
    whole_file.write(file, b"old", mode=0o600)
    with file.open("rb") as reader:
        whole_file.write(file, b"new", mode=0o600)
        assert reader.read() == b"old"
    assert file.read_bytes() == b"new"


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    whole_file.write(tmp_path / "link", b"x", mode=0o600)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder/file").read_bytes() == b"x"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        whole_file.write(tmp_path / "taken", b"x", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_remains_of_a_crash_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}.part").write_bytes(b"longer than the new")
    whole_file.write(tmp_path / "a", b"new", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_is_written_piece_by_piece_is_there_only_when_all_of_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def write(*pieces: bytes) -> None:
        with whole_file.writing(file, mode=0o600) as opened:
            for piece in pieces:
                opened.write(piece)
                assert file.read_bytes() == b"old"
            if not pieces:
                raise ValueError("nothing to write")

    with pytest.raises(ValueError, match="nothing to write"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    write(b"n", b"ew")
    assert file.read_bytes() == b"new"
