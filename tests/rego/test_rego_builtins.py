import pytest

from scopebound_engine.rego.checks.builtins import (
    bad_formats,
    forbidden,
    unordered_texts,
    unsafe_searches,
)
from tests.rego.plans import told, values_of


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("max(input.l)", "max"),
        ("sort(input.l)", "sort"),
        ("to_number(input.a)", "to_number"),
        ("lower(input.a)", "lower"),
        ('regex.match("a", input.a)', "regex.match"),
        ('glob.match("a", [], input.a)', "glob.match"),
        ('net.cidr_contains("10.0.0.0/8", input.a)', "net.cidr_contains"),
        ("time.now_ns()", "time.now_ns"),
        ("opa.runtime()", "opa.runtime"),
        ("json.unmarshal(input.a)", "json.unmarshal"),
        ('replace("abc", input.a, "x")', "replace"),
        ("walk(input)", "walk"),
        ("object.union(input.a, input.b)", "object.union"),
    ],
)
def test_what_the_engine_computes_otherwise_is_not_allowed(expression: str, name: str) -> None:
    found = told(forbidden(values_of(f"x := {expression}").plan))
    assert found == [f"2: the built-in {name} may not be used in rules"]


def test_operators_and_plain_readers_are_allowed() -> None:
    values = values_of(
        "x if { input.a in input.l; count(input.l) + 1 > 2 * 3; input.b | {1} != {2} }",
        'y := object.get(input, "a", null)',
        "z if { is_string(input.a); some k, v in input.o; [k, v] in array.slice(input.l, 0, 2) }",
    )
    assert told(forbidden(values.plan)) == []


@pytest.mark.parametrize(
    "search",
    ['startswith(input.a, "n/")', 'endswith(input.a, "@company.com")', 'contains(input.a, "-x")'],
)
def test_a_plain_literal_may_be_looked_for(search: str) -> None:
    assert told(unsafe_searches(values_of(f"x if {search}"))) == []


@pytest.mark.parametrize(
    "search",
    [
        "startswith(input.a, input.b)",
        'contains(input.a, "\\n")',
        'contains(input.a, "\\"")',
        'endswith(input.a, "nasty.com")',
        'contains(input.a, "01")',
    ],
)
def test_what_could_be_found_in_an_escape_may_not_be_looked_for(search: str) -> None:
    assert len(told(unsafe_searches(values_of(f"x if {search}")))) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('sprintf("%q", [input.tool_name])', "sprintf is safe with %s, %d, %v and %%; here is %q"),
        ('sprintf("%5d", [1])', "sprintf is safe with %s, %d, %v and %%; here is %5"),
        ('sprintf("%s and %s", ["a"])', "the format has 2 verbs for 1 values"),
        ('sprintf("%s", [count(input.l)])', "%s is given a number"),
        ('sprintf("%s", [input.now.hour])', "%s is given a number"),
        ('sprintf("%d", [input.call_id])', "%d is given a string"),
        ('sprintf("%s", [input.claims.allowed_tools])', "%s is given an array"),
        ('sprintf("%s", [{"a": 1}])', "%s is given an object"),
        ("sprintf(input.tool_name, [1])", "the format of sprintf is not a literal"),
    ],
)
def test_formats_that_opa_prints_otherwise_are_found(call: str, message: str) -> None:
    assert told(bad_formats(values_of(f"x := {call}"))) == [f"2: {message}"]


@pytest.mark.parametrize(
    "call",
    [
        'sprintf("%s: %d of %v, 100%%", [input.tool_name, count(input.l), input.a])',
        'sprintf("%v", [v | some v in input.l])',
        'sprintf("%s", [input.a])',
        'sprintf("%s", [input.mcp_server])',
    ],
)
def test_formats_that_cannot_be_wrong_pass(call: str) -> None:
    assert told(bad_formats(values_of(f"x := {call}"))) == []


def test_a_format_that_a_rule_holds_is_a_literal() -> None:
    rules = ["x := sprintf(y, [input.a])", 'y := "%s asks" if input.a else := "%v asks"']
    assert told(bad_formats(values_of(*rules))) == []


def test_each_format_that_a_rule_may_hold_is_judged() -> None:
    rules = ["x := sprintf(y, [1])", 'y := "%v" if input.a else := "%s"']
    assert told(bad_formats(values_of(*rules))) == ["2: %s is given a number"]


@pytest.mark.parametrize(
    "listed",
    ["input.claims.allowed_tools", '["a", input.tool_name]', "[t | some t in input.l]", "data.l"],
)
def test_arrays_may_be_made_a_text(listed: str) -> None:
    values = values_of(f'x := concat(", ", {listed})', data={"l": ["a"]})
    assert told(unordered_texts(values)) == []


@pytest.mark.parametrize("listed", ['{"b", "a"}', "{t | some t in input.l}", "input.call_args.l"])
def test_what_may_be_a_set_may_not(listed: str) -> None:
    assert len(told(unordered_texts(values_of(f'x := concat(", ", {listed})')))) == 1


@pytest.mark.parametrize(
    "rules",
    [
        ['x := sprintf("%s", [concat(", ", ["a"])])'],
        ['x := sprintf("%v", [y])', 'y := concat("", ["a"]) if input.action else := "none"'],
    ],
)
def test_what_concat_made_is_not_shown_by_sprintf(rules: list[str]) -> None:
    # Measured with regopy 1.5.2: sprintf("x %s", [concat("", ["a"])]) is the text x "a".
    (found,) = told(bad_formats(values_of(*rules)))
    assert found == "2: sprintf shows what concat made with quotes that break the decision"


def test_a_list_with_what_concat_made_is_shown_whole() -> None:
    assert told(bad_formats(values_of('x := sprintf("%v", [[concat("", ["a"])]])'))) == []
