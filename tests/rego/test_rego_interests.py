from scopebound_engine.rego.checks.interests import arguments, tools
from tests.rego.plans import values_of

DATA = {"config": {"open": ["c", 5], "closed": {"k": "d"}}}


def test_arguments_are_the_longest_literal_paths_that_rules_read() -> None:
    values = values_of(
        "x if input.call_args.env",
        "y if input.call_args.user.name == 1",
        "z if { a := input.call_args; u := a.user; u.role }",
        'w if object.get(input, ["call_args", "limit"], 0) == 1',
        "v if { some line in input.call_args.lines; line.amount == 3 }",
        "u if input.call_args[input.tool_name]",
        "s if input.claims.role",
    )
    assert arguments(values.plan) == [
        ("env",),
        ("limit",),
        ("lines",),
        ("user", "name"),
        ("user", "role"),
    ]


def test_a_policy_that_reads_no_argument_names_none() -> None:
    assert arguments(values_of("x if input.call_args").plan) == []


def test_tools_are_the_texts_that_the_tools_name_is_compared_with() -> None:
    rules = [
        'x if input.tool_name == "a"',
        'y if "b" != input.tool_name',
        "z if input.tool_name in data.config.open",
        'w if input.tool_name in {"e", "f"}',
        'v if { tool := input.tool_name; tool == "g" }',
        'u if is("h")',
        "is(name) if input.tool_name == name",
        'r if input.mcp_server == "not"',
    ]
    values = values_of(*rules, data=DATA)
    assert tools(values, DATA) == ["a", "b", "c", "e", "f", "g"]
