"""Deny rules that would fall silent: the gate refuses them, or tells their author."""

from pathlib import Path

import pytest

from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.gate import gate
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import Finding
from tests.bundle.gate_samples import NEXT, added, bundle, inspected, shipped_files, verified
from tests.policies import with_example

EXAMPLES = Path(__file__).parents[1] / "examples"
STEPS = ("8 silences", "7 shapes")
DENIAL = "violation contains amount_violation({}) if {{ {} }}\n"


def told(files: dict[str, bytes]) -> list[Finding]:
    candidate = gate.as_candidate(verified(files), acknowledge_floor=True)
    return [finding for step in STEPS for finding in gate.GATE[step](candidate)]


def test_the_shipped_rules_and_the_sound_bundle_fall_silent_nowhere() -> None:
    assert told(shipped_files()) == []
    assert told(dict(bundle().files)) == []


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir()))
def test_the_examples_fall_silent_nowhere(example: str, tmp_path: Path) -> None:
    policies = with_example(SHIPPED, tmp_path, EXAMPLES / example)
    assert told(build(policies, tmp_path / "manifest.json")) == []


@pytest.mark.parametrize(
    ("condition", "reason", "step", "message"),
    [
        (
            "not amount_small",
            'sprintf("no approval by %v", [input.call_args.approver])',
            "silences",
            "without input.call_args.approver, which is only shown here, this denies nothing",
        ),
        ("input.now.weekday in [6, 7]", '"no"', "shapes", "input.now.weekday is never 7"),
        ("input.now.hour >= 24", '"no"', "shapes", "input.now.hour is never >= 24"),
    ],
)
def test_a_denial_that_falls_silent_is_refused(
    condition: str, reason: str, step: str, message: str
) -> None:
    (found,) = inspected(added(DENIAL.format(reason, condition)))
    assert (found.step, found.line, found.message) == (step, NEXT, message)


@pytest.mark.parametrize(
    "condition",
    [
        "input.call_args.confirmed != true",
        "is_number(input.call_args.price); input.call_args.price > 5",
        'some x in input.call_args.to; x == "evil"',
        'limits := {"buy": 5}; input.now.hour == limits[input.tool_name]',
        'some d in ["a", "b"]; input.tool_name != d',
    ],
)
def test_a_denial_that_may_be_quiet_is_a_warning(condition: str) -> None:
    files = dict(added(DENIAL.format('"no"', condition)).files)
    (found,) = told(files)
    assert (found.level, found.line) == ("warning", NEXT)
    assert inspected(verified(files)) == []
