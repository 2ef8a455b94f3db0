"""Which way a condition works, read off small plans."""

import pytest

from scopebound_engine.rego.checks.directions import AWAY, BOTH, TOWARDS, Directions
from scopebound_engine.rego.statements import Statement
from tests.rego.plans import values_of

HEAD = (
    'decision := {"allow": allow, "violations": [v | some v in violation]}',
    "default allow := false",
    "allow if { granted; count(violation) == 0 }",
    'deny(reason) := {"code": "X", "severity": "low", "reason": reason}',
)
DENIED = 'violation contains deny("r") if {}'


def ways(*rules: str) -> list[frozenset[int]]:
    """The ways of the comparisons with "?", in order."""
    values = values_of(*HEAD, *rules)
    asked: list[Statement] = [
        statement
        for statement in values.plan.statements
        if statement.kind == "Equal" and "?" in statement.reads
    ]
    directions = Directions(values, "t/decision", asked)
    return [directions.of(statement) for statement in asked]


IS = 'input.tool_name == "?"'


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([DENIED.format(IS)], TOWARDS),
        ([DENIED.format(f"{{ some t in input.claims.allowed_tools; t; {IS} }}")], TOWARDS),
        ([DENIED.format("s"), f"s if {IS}"], TOWARDS),
        ([DENIED.format("s(1)"), f"s(_) if {IS}"], TOWARDS),
        ([DENIED.format("s == true"), f"s if {IS}"], TOWARDS),
        ([DENIED.format("not s"), f"s if {IS}"], AWAY),
        ([DENIED.format("not s"), "s if not r", f"r if {IS}"], TOWARDS),
        ([DENIED.format("not s"), f"s := false if {IS} else := true"], TOWARDS),
        ([DENIED.format("not s"), f"s if {{ {IS} }} else if {{ input.call_args.x }}"], AWAY),
        ([DENIED.format("not s"), f"default s := false\ns if {IS}"], AWAY),
        ([DENIED.format("s"), f"s if {IS}", "granted if s"], BOTH),
        ([DENIED.format("{ every x in [1] { x; " + IS + " } }")], TOWARDS),
        ([f"granted if {IS}"], AWAY),
        (["granted if s", f"s if {IS}"], AWAY),
        (["granted if not s", f"s if {IS}"], TOWARDS),
        # Only that there is a reason counts, and where there always is one not even that.
        (["violation contains deny(s) if input.call_args.x", f's := "p" if {IS}'], TOWARDS),
        (
            ["violation contains deny(s) if input.call_args.x", f's := "p" if {IS} else := "q"'],
            frozenset(),
        ),
        # What is compared, counted or collected works both ways.
        ([DENIED.format('s == "p"'), f's := "p" if {IS} else := "q"'], BOTH),
        ([DENIED.format("count(s) > 0"), f"s contains 1 if {IS}"], BOTH),
        ([DENIED.format(f"count({{1 | {IS}}}) > 0")], BOTH),
        ([DENIED.format("s.k"), f's[k] := 1 if {{ k := "k"; {IS} }}'], BOTH),
        # Nobody asks.
        ([f"s if {IS}"], BOTH),
    ],
)
def test_a_condition_works_towards_a_denial_or_away_from_it(
    rules: list[str], expected: frozenset[int]
) -> None:
    assert ways(*rules) == [expected]


def test_conditions_of_one_helper_may_work_in_different_ways() -> None:
    first, second = 'if { input.tool_name == "?" }', 'if { input.mcp_server == "?" }'
    said = f"s := true {first} else := false {second} else := true"
    assert ways(DENIED.format("not s"), said) == [AWAY, TOWARDS]
    turned = f"s := false {first} else := true {second}"
    assert ways(DENIED.format("not s"), turned) == [TOWARDS, AWAY]


def test_bodies_that_share_a_variable_do_not_share_its_ways() -> None:
    first = DENIED.format('{ x := input.tool_name; x == "?" }')
    second = DENIED.format("{ x := input.mcp_server; not s(x) }")
    assert sorted(map(sorted, ways(first, second, 's(x) if x == "?"'))) == [[-1], [1]]
