"""What becomes of files: formatted, told that they do not parse, or left as they are."""

from pathlib import Path
from random import Random

import pytest

from scopebound_engine.author.formatting import files as fmt
from scopebound_engine.author.formatting.files import Formatted
from scopebound_engine.errors import ConfigError, Finding
from tests.author.layouts import scattered

ROOT = Path(__file__).parents[2]
CONSTRUCTS = (Path(__file__).parent / "constructs.rego").read_text()
# The engine knows the empty set as `set()` alone: this is the call of a function.
MISTAKEN = b"package a\n\nx := set( )\n"


def formatted(**texts: bytes) -> list[Formatted]:
    return fmt.format_texts(texts)


def test_files_are_told_apart() -> None:
    clean, changed, unfit, refused, bytes_, nul = formatted(
        clean=b"package a\n\nx := 1\n",
        changed=b"package a\nx:=1",
        unfit=b"package a\n\nx := {\n",
        refused=MISTAKEN,
        bytes=b"package a\n\n# \xff\n",
        nul=b"package a\n\n\0",
    )
    assert (clean.state, clean.after) == ("clean", clean.before)
    assert (changed.state, changed.after) == ("changed", "package a\n\nx := 1\n")
    assert (unfit.findings[0].file, unfit.findings[0].line) == ("unfit", 3)
    assert (refused.state, refused.defect) == ("refused", "it would be another program")
    assert bytes_.findings == (Finding("parse", "is not UTF-8", "bytes", 3, 1, "save it as UTF-8"),)
    assert (nul.state, nul.findings[0].line) == ("unfit", 3)
    assert {file.after for file in (unfit, refused)} == {unfit.before, refused.before}


def test_the_engine_finds_the_same_program_in_any_layout() -> None:
    texts = [CONSTRUCTS] * 6 + [(ROOT / "policies/scopebound/main_test.rego").read_text()] * 2
    layouts = {
        str(seed): scattered(text, Random(seed), comments=False).encode()
        for seed, text in enumerate(texts)
    }
    found = fmt.format_texts(layouts)
    # The engine wants some things on one line, so that a few of the layouts are none of Rego.
    assert {file.state for file in found} <= {"changed", "unfit"}
    assert [file.state for file in found].count("changed") >= 5
    for file, text in zip(found, texts, strict=True):
        if file.state == "changed":
            assert fmt.format_texts({"again": file.after.encode()})[0].state == "clean", text


def test_one_that_kills_the_engine_concerns_no_other() -> None:
    deadly = b"package a\n\nimport data\nimport input\np := 1\n"
    deep = b"package a\n\nx := " + b"[" * 2_000 + b"]" * 2_000
    found = formatted(a=b"package a\nx:=1", deadly=deadly, deep=deep, b=b"package b\nx:=1")
    assert [file.state for file in found] == ["changed", "refused", "refused", "changed"]
    assert found[1].defect.startswith("it could not be compared: the Rego engine's process")
    assert found[2].defect == "its brackets are nested too deep"


def test_written_files_keep_their_mode(tmp_path: Path) -> None:
    file = tmp_path / "a.rego"
    file.write_bytes(b"package a\nx:=1")
    file.chmod(0o640)
    fmt.write(fmt.format_files([file])[0])
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("package a\n\nx := 1\n", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_hidden_files_are_not_looked_at(tmp_path: Path) -> None:
    names = ("b.rego", "a/b.rego", ".git/c.rego", "a/.#b.rego", "a/data.json")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    named = tmp_path / ".git/c.rego"
    assert fmt.files([tmp_path, tmp_path / "a"]) == [tmp_path / "a/b.rego", tmp_path / "b.rego"]
    assert fmt.files([named, named]) == [named]


def test_a_folder_without_rego_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no \.rego file"):
        fmt.files([tmp_path])
    with pytest.raises(ConfigError, match="cannot be read"):
        fmt.format_files([tmp_path / "gone.rego"])
