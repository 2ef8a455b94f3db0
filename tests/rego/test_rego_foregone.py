"""Conditions that no call can change."""

import pytest
from silent_policies import FIRST, allowed, bodies, denies

from scopebound_engine.rego.checks.foregone import always_different, out_of_range
from tests.rego.plans import told

HOUR, DAY = "input.now.hour", "input.now.weekday"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (f"{DAY} in [6, 7]", f"{DAY} is never 7"),
        (f"{DAY} in {{6, 7}}", f"{DAY} is never 7"),
        (f"{DAY} == 7", f"{DAY} is never 7"),
        (f"7 == {DAY}", f"{DAY} is never 7"),
        (f"h := {HOUR}; h == 24", f"{HOUR} is never 24"),
        (f"{HOUR} >= 24", f"{HOUR} is never >= 24"),
        (f"24 <= {HOUR}", f"{HOUR} is never >= 24"),
        (f"{HOUR} > 23", f"{HOUR} is never > 23"),
        (f"{HOUR} < 0", f"{HOUR} is never < 0"),
        (f"{HOUR} != 24", f"{HOUR} is never 24"),
    ],
)
def test_a_number_out_of_range_is_found(condition: str, message: str) -> None:
    found = [*out_of_range(bodies(denies(condition)).values)]
    assert told(found) == [f"{FIRST}: {message}"]
    assert found[0].level == "error"


@pytest.mark.parametrize(
    "condition",
    [
        f"{DAY} in [5, 6]",
        f"{DAY} == 0",
        f"{HOUR} >= 23",
        f"{HOUR} < 1",
        f"{HOUR} <= 0",
        f"{HOUR} >= 0",
        f"{HOUR} < 24",
        f"{HOUR} > input.claims.allowed_hours_end",
        "input.now.epoch_ms > 24",
        "input.call_args.hour == 24",
        "input.call_args.ratio == 1.5e3",
    ],
)
def test_a_number_that_can_be_passes(condition: str) -> None:
    assert told(out_of_range(bodies(denies(condition)).values)) == []


def test_the_remedy_says_what_there_is() -> None:
    (found,) = out_of_range(bodies(denies(f"{DAY} == 7")).values)
    assert found.remedy == "it is 0 to 6. 0 = Monday."


@pytest.mark.parametrize(
    "condition",
    [
        'some d in ["a", "b"]; input.tool_name != d',
        'some d in {"a", "b"}; d != input.tool_name',
        'input.tool_name != ["a", "b"][_]',
        "some t in input.claims.allowed_tools; t != input.tool_name",
    ],
)
def test_being_other_than_any_one_of_several_is_told(condition: str) -> None:
    found = [*always_different(bodies(denies(condition)))]
    assert [(item.level, item.line) for item in found] == [("warning", FIRST)]
    call = {"tool_name": "a", "claims": {"allowed_tools": ["a", "b"]}}
    assert not allowed(denies(condition), call=call)


@pytest.mark.parametrize(
    "condition",
    [
        'some d in ["a"]; input.tool_name != d',
        'some d in ["a", "b"]; input.tool_name == d',
        'some d in ["a", "b"]; input.tool_name != d; d != "b"; input.mcp_server == d',
        'every d in ["a", "b"] { input.tool_name != d }',
        'not input.tool_name in ["a", "b"]',
        'count([d | some d in ["a", "b"]; d != input.tool_name]) == 2',
    ],
)
def test_other_uses_of_elements_pass(condition: str) -> None:
    assert told(always_different(bodies(denies(condition)))) == []
