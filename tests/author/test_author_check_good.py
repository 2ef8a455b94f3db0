"""`check` has nothing to say against policies of many shapes.

Those in good/ use what is safe of the language. Where a policy takes up an idea of a public one, it
says so; the words are ours. The policies of tests/examples are checked too.
"""

import json
import re
from pathlib import Path

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.checking.check import Report, check
from scopebound_engine.config import SHIPPED
from tests.author.frames import declared, written
from tests.policies import with_example

_HERE = Path(__file__).parent
GOOD = {path.stem: path.read_text() for path in sorted((_HERE / "good").glob("*.rego"))}
MATCHERS = {"inside": {"path": "/call_args/to", "glob": ["*@shop.example"]}}


def _codes(texts: list[str]) -> list[tuple[str, str]]:
    return [
        (re.findall(r"#   code: (\w+)", text)[0], re.findall(r"#   severity: (\w+)", text)[0])
        for text in texts
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on all good policies together."""
    files = {
        "manifest.json": declared(_codes(list(GOOD.values())), matchers=MATCHERS),
        "shop/config/data.json": (_HERE / "good/data.json").read_text(),
        **{f"shop/deny/{name}.rego": text for name, text in GOOD.items()},
    }
    place = written(tmp_path_factory.mktemp("good"), files)
    return check(folder.read(place), acknowledge_floor=True)


@pytest.mark.parametrize("name", list(GOOD))
def test_nothing_is_found_in_a_good_policy(name: str, report: Report) -> None:
    assert [str(item) for item in report.findings if item.file.endswith(f"/{name}.rego")] == []


def test_nothing_is_found_about_all_of_them_but_what_the_frame_allows(report: Report) -> None:
    assert {(item.step, item.level) for item in report.findings} <= {("floor", "warning")}
    assert report.left_out == ()


def test_there_are_enough_of_them_and_they_say_much() -> None:
    assert len(GOOD) >= 40
    every = "\n".join(GOOD.values())
    for word in (
        "every ", "some ", "else ", "default ", " | ", "import data.", " as settings", ":= {",
        "not ", "sum(", "count(", "array.slice", "array.reverse", "array.concat", "object.keys",
        "object.filter", "object.remove", "object.get", "startswith(", "concat(", "sprintf(",
        "type_name(", "abs(", " % ", " & ", "input.matches", "input.constraints", "input.session",
        "input.child", "input.mcp_server", "`", "1e3", "limits.length", "contains made(", "[i + 1]",
    ):  # fmt: skip
        assert word in every, word


def test_nothing_is_found_without_their_manifest_either(tmp_path: Path) -> None:
    files = {f"shop/deny/{name}.rego": text for name, text in GOOD.items()}
    place = written(tmp_path, files)
    (place / "shop/config").mkdir()
    (place / "shop/config/data.json").write_text((_HERE / "good/data.json").read_text())
    (place / "manifest.json").unlink()
    assert check(folder.read(place)).findings == ()


def test_nothing_is_found_in_the_example_with_matchers(tmp_path: Path) -> None:
    example = _HERE.parent / "examples/lookalike_domains"
    place = with_example(SHIPPED, tmp_path, example)
    report = check(folder.read(place))
    assert (report.errors, report.left_out) == ((), ())
    assert len(json.loads((tmp_path / "manifest.json").read_text())["matchers"]) > 0
