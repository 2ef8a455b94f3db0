"""`check` against policies that others wrote, for another engine: all that it says is true.

Each finding was gone through by hand. What it says of them is of three kinds: what the engine does
not take, what it computes otherwise than OPA, and what these conventions ask of a deny rule.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.checking.check import Report, check
from scopebound_engine.errors import Finding
from tests.author.frames import declared, written
from tests.author.published import RENAMED, code, framed, mended, published

SECONDS: Final = 300.0
# What is said of them as they are, how often, and why it is true.
NOT_TAKEN: Final = {
    # `some k, v in xs` or a bar on the next line, in a comprehension that also has a condition.
    "Invalid collection": 3,
    # Refused in rules: with some targets the engine ends when it compiles them.
    "`with` in a rule": 2,
    # Two packages have functions of one name that take other arguments.
    r"\w+ is a function of \d here and a function of \d in .*": 10,
}
# What is said of them when that is mended, how often, and why it is true.
TRUE: Final = {
    # Of these the engine has none, or one that answers otherwise than OPA's.
    r"the built-in [\w.]+ may not be used in rules": 79,
    # What a call sends may be of any type, and for a string it counts otherwise.
    "count is given what may be a string, of which it counts the escapes too": 14,
    # They hand it sets: OPA sorts them, the engine does not.
    "concat is given what may not be an array": 10,
    # Measured: "x %s" of what concat made comes out with quotes inside, which is no JSON.
    "sprintf shows what concat made with quotes that break the decision": 4,
    # One is put together by concat.
    "the format of sprintf is not a literal": 1,
    "startswith looks for something else than a literal without escapes": 1,
    # \redirect in a text begins with the escape of a carriage return.
    "contains looks for 'redirect', which may be found inside of an escape": 1,
    # They compare numbers of the call without asking whether they are any.
    "an operand of < is not known to be a number": 2,
    # data.EventName and data.LogName, which `with` sets.
    r"there is no data\.\w+": 6,
    # Left from a time when they judged logs.
    r"data\.[\w.]+ is used by nothing that shop/decision reaches": 25,
    # A call that sends no list is not denied.
    r"input\.\S+ may be no list: .*": 11,
    # Measured: with names in capitals the engine compiles a plan that has no answer.
    "a variable is used before the line that gives it a value": 1,
    r"\d+ rules; more than 400 slow every call down": 1,
}
# Of which nothing at all is said.
SILENT: Final = {"calendar", "gemini", "groups", "meet"}


@pytest.fixture(scope="module")
def policies() -> dict[str, str]:
    return published()


def reported(place: Path, policies: dict[str, str]) -> Report:
    """What is said of a bundle of them."""
    files = framed(policies)
    names = [Path(path).stem for path in files if path.startswith("shop/deny/")]
    files["manifest.json"] = declared([(code(name), "high") for name in names])
    return check(folder.read(written(place, files)), seconds=SECONDS)


def counted(findings: Iterable[Finding], known: Iterable[str]) -> Counter[str]:
    """How many findings there are of each known message; of another one, itself."""
    return Counter(
        next((text for text in known if re.fullmatch(text, item.message)), str(item))
        for item in findings
    )


def test_what_the_engine_does_not_take_is_named(policies: dict[str, str], tmp_path: Path) -> None:
    found = [item for item in reported(tmp_path, policies).findings if item.level == "error"]
    assert counted(found, NOT_TAKEN) == NOT_TAKEN
    mixed_up = {item.message.split()[0] for item in found if "is a function" in item.message}
    assert mixed_up == {name for names in RENAMED.values() for name in names}


def test_all_that_is_said_of_them_is_true(policies: dict[str, str], tmp_path: Path) -> None:
    report = reported(tmp_path, mended(policies))
    assert counted(report.findings, TRUE) == TRUE
    told = {Path(item.file).stem for item in report.findings if item.file}
    assert policies.keys() - told == SILENT
    print(f"{len(report.findings)} findings in {len(policies)} files, all true")
