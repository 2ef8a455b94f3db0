"""What a folder of policies holds, however it was left."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from scopebound_engine.author.folder import Sources, read
from scopebound_engine.errors import ConfigError, Finding, FindingsError, ManifestError
from tests.author.frames import MAIN, declared, written

NOBODY = 65_534


def said(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{Path(item.file).name}: {item.message}" for item in findings]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return written(tmp_path / "policies", {})


def test_modules_tests_data_and_cases_go_by_their_path(place: Path) -> None:
    (place / "shop/main_test.rego").write_text("package shop_test\n")
    (place / "shop/data.json").write_text('{"limit": 5}')
    (place / "shop/refunds_cases.yaml").write_text("cases: [")
    found = read(place)
    assert list(found.modules) == ["shop/deny/tool.rego", "shop/main.rego", "shop/main_test.rego"]
    assert list(found.rules) == ["shop/deny/tool.rego", "shop/main.rego"]
    assert found.data == {"shop": {"limit": 5}}
    assert found.case_files == {"shop/refunds_cases.yaml": place / "shop/refunds_cases.yaml"}
    assert (found.problems, found.unfit) == ((), ())
    assert found.sound() is found


def test_the_manifest_lies_in_the_folder_beside_it_or_where_it_is_named(place: Path) -> None:
    assert read(place).require_manifest().name == "shop"
    (place / "manifest.json").rename(place.parent / "manifest.json")
    assert read(place).path("manifest.json") == str(place.parent / "manifest.json")
    other = place.parent / "other.json"
    other.write_text(declared([], name="other"))
    assert read(place, other).require_manifest().name == "other"
    assert read(Path(os.path.relpath(place)), other).manifest is not None


def test_a_missing_manifest_is_told_where_one_is_needed(place: Path) -> None:
    (place / "manifest.json").unlink()
    found = read(place)
    assert (found.manifest, found.unfit) == (None, ())
    with pytest.raises(ManifestError, match=r"has no manifest\.json, in it or beside it"):
        found.require_manifest()


def test_a_wrong_manifest_leaves_the_policies_readable(place: Path) -> None:
    (place / "manifest.json").write_text("{}")
    found = read(place)
    assert found.sound().manifest is None
    with pytest.raises(ManifestError, match="name is missing"):
        found.require_manifest()


def test_a_manifest_of_opa_alone_is_none_of_ours(place: Path) -> None:
    (place / "manifest.json").unlink()
    (place / ".manifest").write_text('{"revision": "1"}')
    assert read(place).manifest is None


@pytest.mark.parametrize("name", ["", "nothing", "policies/shop/main.rego"])
def test_a_folder_without_rules_or_that_is_none_is_refused(
    tmp_path: Path, place: Path, name: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="name the"):
        read(tmp_path / name if name else empty)


def test_what_cannot_be_read_is_named_and_the_rest_is_there(place: Path) -> None:
    (place / "shop/latin.rego").write_bytes(b"package shop\n\n# caf\xe9\n")
    (place / "shop/gone.rego").symlink_to(place / "nowhere")
    (place / "shop/linked").symlink_to(place / "shop/deny")
    os.mkfifo(place / "shop/pipe.rego")
    (place / "shop/data.json").write_text("{")
    found = read(place)
    json, *others = sorted(said(found.problems))
    assert json.startswith("data.json: ")
    assert others == [
        "gone.rego: a symbolic link",
        "latin.rego: not UTF-8",
        "linked: a symbolic link",
        "pipe.rego: not a file",
    ]
    assert "shop/main.rego" in found.modules
    with pytest.raises(FindingsError, match=r"not all of .* can be read"):
        found.sound()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Not as root, who may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_that_may_not_be_read_is_named() -> None:
    with TemporaryDirectory() as folder:  # nobody else may enter pytest's own
        Path(folder).chmod(0o755)
        place = written(Path(folder) / "policies", {})
        (place / "shop/secret.rego").write_text("package shop\n")
        (place / "shop/secret.rego").chmod(0)
        with as_nobody():
            found = read(place)
    assert said(found.problems) == ["secret.rego: cannot be read: Permission denied"]


def test_what_only_keeps_it_from_being_a_bundle_is_no_problem(place: Path) -> None:
    (place / "README.md").write_text("# Rules\n")
    (place / "shop/Big.rego").write_text("package shop\n")
    (place / "shop/.main.rego.swp").write_text("")
    (place / "shop/._main.rego").write_bytes(b"\x00\x05")
    (place / ".git").mkdir()
    (place / ".git/config").write_text("")
    found = read(place)
    assert found.problems == ()
    assert "shop/Big.rego" in found.modules
    assert sorted(item.split(":")[0] for item in said(found.unfit)) == [
        "._main.rego",
        ".git",
        ".main.rego.swp",
        "Big.rego",
        "README.md",
    ]


def test_lines_and_places_are_found_for_what_findings_name(place: Path) -> None:
    found = read(place)
    assert found.path("shop/main.rego") == str(place / "shop/main.rego")
    assert found.path("elsewhere.rego") == "elsewhere.rego"
    assert found.line("shop/main.rego", 1) == MAIN.split("\n")[0]
    assert found.line("shop/main.rego", 0) is None
    assert found.line("shop/main.rego", 999) is None
    assert found.line("elsewhere.rego", 1) is None


def test_what_was_not_read_goes_by_its_path_in_the_folder(place: Path) -> None:
    (place / "shop/gone.rego").symlink_to(place / "nowhere")
    found = read(place)
    assert [item.file for item in found.problems] == ["shop/gone.rego"]
    assert found.path("shop/gone.rego") == str(place / "shop/gone.rego")


def test_lines_end_where_the_engine_ends_them(place: Path) -> None:
    (place / "shop/x.rego").write_bytes(b"package shop\r\n\r\nx := 1\xe2\x80\xa8\r\n")
    found: Sources = read(place)
    assert found.line("shop/x.rego", 3) == "x := 1\u2028"
