"""`check` has nothing to say against policies of many shapes.

Those in good/ use what is safe of the language. Where a policy takes up an idea of a public one, it
says so; the words are ours. The policies of tests/examples are checked too.
"""

import json
import re
from pathlib import Path

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.check import Report, check
from scopebound_engine.config import SHIPPED
from tests.author.frames import declared, written
from tests.policies import with_example

_HERE = Path(__file__).parent
GOOD = {path.stem: path.read_text() for path in sorted((_HERE / "good").glob("*.rego"))}
MATCHERS = {"inside": {"path": "/call_args/to", "glob": ["*@shop.example"]}}
# Asking a bundle takes the longer the more arguments its rules name.
GROUPS = 2


def _codes(texts: list[str]) -> list[tuple[str, str]]:
    return [
        (re.findall(r"#   code: (\w+)", text)[0], re.findall(r"#   severity: (\w+)", text)[0])
        for text in texts
    ]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """Reports on all good policies, some together."""
    data = (_HERE / "good/data.json").read_text()
    names = list(GOOD)
    found = []
    for start in range(GROUPS):
        group = names[start::GROUPS]
        matchers = MATCHERS if "matched" in group else {}
        files = {
            "manifest.json": declared(_codes([GOOD[name] for name in group]), matchers=matchers),
            "shop/config/data.json": data,
            **{f"shop/deny/{name}.rego": GOOD[name] for name in group},
        }
        place = written(tmp_path_factory.mktemp("good"), files)
        found.append(check(folder.read(place), acknowledge_floor=True))
    return found


@pytest.mark.parametrize("name", list(GOOD))
def test_nothing_is_found_in_a_good_policy(name: str, reports: list[Report]) -> None:
    told = [str(item) for report in reports for item in report.findings if name in item.file]
    assert told == []


def test_nothing_is_found_about_any_of_them_as_a_whole(reports: list[Report]) -> None:
    assert {item.step for report in reports for item in report.findings} <= {"floor"}
    assert {item.level for report in reports for item in report.findings} <= {"warning"}
    assert [report.left_out for report in reports] == [()] * GROUPS


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
