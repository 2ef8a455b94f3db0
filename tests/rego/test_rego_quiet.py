"""Conditions that are quiet where an argument is absent or of another kind: warnings."""

from typing import Any

import pytest
from silent_policies import FIRST, allowed, bodies, denies

from scopebound_engine.rego.checks.quiet import quiet_conditions
from tests.rego.plans import told

ABSENT: dict[str, Any] = {"tool_name": "read", "call_args": {}, "now": {"hour": 9}}
TO_TEXT = ABSENT | {"call_args": {"to": "evil"}}
N_TEXT = ABSENT | {"call_args": {"n": "9"}}
TO, N = "input.call_args.to", "input.call_args.n"
NO_LIST = f"{TO} may be no list"
NO_ENTRY = "this is quiet where the table has no entry for input.tool_name"


@pytest.mark.parametrize(
    ("rules", "line", "message", "call"),
    [
        ([denies(f"{N} != true")], 0, f"without {N} this condition fails", ABSENT),
        ([denies(f"n := {N}; n != true")], 0, f"without {N} this condition fails", ABSENT),
        ([denies("unfit"), f"unfit if {N} != true"], 1, f"without {N} this", ABSENT),
        ([denies(f'to := {TO}; not endswith(to, "@x")')], 0, f"without {TO} this", ABSENT),
        ([denies(f'to := {TO}; not to in ["a"]')], 0, f"without {TO} this", ABSENT),
        ([denies(f"to := {TO}; not ok(to)"), 'ok(x) if x == "a"'], 0, f"without {TO} this", ABSENT),
        ([denies(f"is_number({N}); {N} > 5")], 0, "text passes", N_TEXT),
        ([denies(f"n := {N}; is_number(n); n > 5")], 0, "text passes", N_TEXT),
        ([denies("big"), f"big if {{ is_number({N}); {N} > 5 }}"], 1, "text passes", N_TEXT),
        ([denies(f"is_string({TO}); {TO} != 5")], 0, "a list passes", ABSENT),
        ([denies(f'is_array({TO}); some x in {TO}; x == "evil"')], 0, "what is no list", TO_TEXT),
        ([denies(f'some x in {TO}; x == "evil"')], 0, NO_LIST, ABSENT),
        ([denies(f'count({{x | some x in {TO}; x == "evil"}}) > 0')], 0, NO_LIST, TO_TEXT),
        ([denies("not ok"), f"ok if count([x | some x in {TO}]) == 0"], 1, NO_LIST, TO_TEXT),
        ([denies('t := {"pay": 1}; input.now.hour > t[input.tool_name]')], 0, NO_ENTRY, ABSENT),
        ([denies("input.now.hour > data.limits[input.tool_name]")], 0, NO_ENTRY, ABSENT),
        ([denies("input.now.hour > 5", "data.limits[input.tool_name]")], 0, NO_ENTRY, ABSENT),
    ],
)
def test_a_condition_that_is_quiet_is_told(
    rules: list[str], line: int, message: str, call: dict[str, Any]
) -> None:
    (found,) = quiet_conditions(bodies(*rules))
    assert (found.level, found.line) == ("warning", FIRST + line)
    assert found.message.startswith(message)
    # The second engine refuses to look through what is no list.
    assert call is TO_TEXT or allowed(*rules, call=call)


@pytest.mark.parametrize(
    "rules",
    [
        [denies(f"{N} == true")],
        [denies(f"{N} != null; {N} != true")],
        [denies(f"{N} != null")],
        [denies(f"{N}; unfit"), f"unfit if {N} != true"],
        [denies(f"{N} != true"), denies(f"not {N}")],
        [denies(f"{N} != true"), denies("not known"), f"known if {N}"],
        [denies('object.get(input.call_args, "n", false) != true')],
        [denies('input.mcp_server != "a"')],
        [denies("not ok"), f"ok if {N} != true"],
        [denies(f"is_number({N}); {N} > 5"), denies(f"not is_number({N})")],
        [denies(f"is_number({N}); {N} > 5"), denies("not known"), f"known if is_number({N})"],
        [denies(f"is_number({N}); {N} > 5"), denies(f'type_name({N}) != "number"; {N}')],
        [denies("not small"), f"small if {{ is_number({N}); {N} < 5 }}"],
        [denies(f"is_number({N}); {N} == 5")],
        [denies("is_number(input.claims.exp); input.claims.exp > 5")],
        [denies(f'some x in {TO}; x == "a"'), denies(f"not is_array({TO})")],
        [denies("not ok"), f'ok if {{ some x in {TO}; x == "a" }}'],
        [denies("not ok"), f'ok if {{ every x in {TO} {{ x == "a" }} }}'],
        [denies("not ok"), f"ok if {{ is_array({TO}); count([x | some x in {TO}]) == 0 }}"],
        [denies("input.now.hour > 5", f'sprintf("%v", [[x | some x in {TO}]])')],
        [denies("some t in input.claims.allowed_tools; t == input.tool_name")],
        [denies("data.limits[input.tool_name]")],
        [denies('input.tool_name == "pay"; input.now.hour > data.limits[input.tool_name]')],
        [denies("input.now.hour > object.get(data.limits, input.tool_name, 5)")],
        [
            denies("input.now.hour > data.limits[input.tool_name]"),
            denies("not data.limits[input.tool_name]"),
        ],
        [denies("not fine"), "fine if input.now.hour < data.limits[input.tool_name]"],
    ],
)
def test_what_is_denied_elsewhere_or_meant_is_not(rules: list[str]) -> None:
    assert told(quiet_conditions(bodies(*rules))) == []
