import pytest

from scopebound_engine.rego.checks.equalities import impossible_equalities, impossible_members
from tests.rego.plans import told, values_of

DATA = {
    "config": {
        "hour": "8",
        "limit": 5,
        "names": ["a"],
        "any": ["a", 1],
        "closed": {"read": True, "send": True},
        "owners": {"read": "ann"},
        "none": {},
    }
}


def found(*rules: str) -> list[str]:
    values = values_of(*rules, data=DATA)
    return told([*impossible_equalities(values), *impossible_members(values)])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('input.now.weekday == "Friday"', 'input.now.weekday never equals "Friday"'),
        ('"8" == input.now.hour', '"8" never equals input.now.hour'),
        ('input.now.hour != "8"', 'input.now.hour never equals "8"'),
        ('h := input.now.hour; h == "8"', 'input.now.hour never equals "8"'),
        ('input.session.revoked == "true"', 'input.session.revoked never equals "true"'),
        ("input.session.revoked == 1", "input.session.revoked never equals a number"),
        ("input.tool_name == true", "input.tool_name never equals a boolean"),
        ('input.tool_name == ["read"]', "input.tool_name never equals an array"),
        ('input.claims.allowed_tools == "read"', 'input.claims.allowed_tools never equals "read"'),
        ('input.call_args == "x"', 'input.call_args never equals "x"'),
        (
            'input.session.rate.hour.limit == "no"',
            'input.session.rate.hour.limit never equals "no"',
        ),
        (
            "some t in input.claims.allowed_tools; t == 5",
            "input.claims.allowed_tools[_] never equals a number",
        ),
        ("input.now.hour == data.config.hour", "input.now.hour never equals data.config.hour"),
        ('count(input.claims.allowed_tools) == "3"', 'a number never equals "3"'),
        ('input.action == "toolcall"', 'input.action is never "toolcall"'),
        (
            'some c in input.constraints; c.operator == "lte"',
            'input.constraints[_].operator is never "lte"',
        ),
        ('input.action in ["tool_call", "mcp"]', 'input.action is never "mcp"'),
        ('input.now.hour in ["8", 9]', 'input.now.hour never equals "8"'),
        ('input.now.hour in ["8", "9"]', "no element of an array is a number"),
        ("input.tool_name in {1, 2}", "no element of a set is null or a string"),
        ("7 in input.claims.allowed_tools", "no element of input.claims.allowed_tools is a number"),
        ("input.now.hour in data.config.names", "no element of data.config.names is a number"),
        ('"read" in input.tool_name', "input.tool_name has no elements to look through"),
        ('input.tool_name in "read,send"', '"read,send" has no elements to look through'),
        (
            "input.tool_name in data.config.closed",
            "no element of data.config.closed is null or a string",
        ),
        (
            'closed := {"read": true, "send": true}; input.tool_name in closed',
            "no element of an object is null or a string",
        ),
        (
            'type_name(input.call_args.a) == "integer"',
            'type_name(…) is never "integer"',
        ),
        (
            't := type_name(input.call_args.a); t in ["string", "bool"]',
            'type_name(…) is never "bool"',
        ),
        ("some x in input.tool_name; x", "input.tool_name has no elements to look through"),
    ],
)
def test_what_never_holds_is_found(body: str, message: str) -> None:
    assert found(f"x if {{ {body} }}") == [f"2: {message}"]


@pytest.mark.parametrize(
    "body",
    [
        'type_name(input.call_args.a) != "null"',
        "input.tool_name in data.config.owners",
        "input.tool_name in data.config.none",
        "input.tool_name in object.keys(data.config.closed)",
        'input.tool_name in {"read": "x", "send": 1}',
        "input.call_args.a in data.config.closed",
        "input.now.weekday == 4",
        "input.now.hour in [8, 9]",
        "input.session.revoked != false",
        'input.action == "mcp_tool_call"',
        'input.action in {"tool_call", "delegate"}',
        'input.tool_name in ["read", "send"]',
        '"read" in input.claims.allowed_tools',
        "input.tool_name in input.claims.allowed_tools",
        "input.now.weekday in input.claims.allowed_days",
        "input.claims.allowed_tools == []",
        "input.mcp_server == null",
        "input.claims.role == null",
        "input.claims.role != null",
        "null in input.claims.allowed_tools",
        'object.get(input, "tool_name", null) == 5',
        'input.call_args.anything == "5"',
        'input.call_args.anything in [1, "a", null]',
        '"a" in input.call_args.anything',
        "some x in input.call_args.anything; x == 5",
        "some c in input.constraints; c.value == 5",
        "input.session.drift.log_evidence == 1",
        "input.session[input.tool_name] == 5",
        "input.now.hour in data.config.any",
        "input.tool_name in []",
        'concat("/", input.claims.allowed_tools) == "a/b"',
        'sprintf("%v", [input.tool_name]) == "a"',
        'type_name(input.call_args.a) == "array"',
        'object.keys(input.call_args) == {"a"}',
        "count(input.claims.allowed_tools) == data.config.limit",
        "{t | some t in input.claims.allowed_tools} - {input.tool_name} == set()",
    ],
)
def test_what_can_hold_passes(body: str) -> None:
    assert found(f"x if {{ {body} }}") == []


def test_a_result_of_several_kinds_may_equal_each() -> None:
    rule = 'k := 1 if input.call_args.a else := "b"'
    assert found('x if k == "b"', rule) == []
    assert len(found("x if k == true", rule)) == 1


def test_the_remedy_says_what_there_is() -> None:
    (weekday,) = impossible_equalities(values_of('x if input.now.weekday == "Friday"'))
    assert weekday.remedy == "input.now.weekday is a number: 0 = Monday."
    (action,) = impossible_equalities(values_of('x if input.action == "call"'))
    assert action.remedy == "it is one of tool_call, mcp_tool_call, delegate"
    (revoked,) = impossible_equalities(values_of('x if input.session.revoked == "true"'))
    assert revoked.remedy == "input.session.revoked is a boolean, not a string"
    (listed,) = impossible_equalities(values_of('x if input.call_args.l == {"a"}'))
    assert listed.remedy.startswith("the input has no sets")
