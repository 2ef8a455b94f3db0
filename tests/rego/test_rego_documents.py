import pytest

from scopebound_engine.rego.checks.documents import (
    INPUT_SCHEMA,
    overlaps,
    unknown_data,
    unknown_input,
)
from tests.rego.plans import plan_of, told

DATA = {"config": {"limit": 5, "tools": [{"name": "a"}]}, "t": {"other": 1}}


def inputs(*rules: str) -> list[str]:
    return told(unknown_input(plan_of("\n".join(["package t", "x := 1", *rules]))))


def data(*rules: str) -> list[str]:
    plan = plan_of("\n".join(["package t", "x := 1", *rules]), "package t.deny\nv := 1")
    return told(unknown_data(plan, DATA))


@pytest.mark.parametrize(
    "path",
    [
        "input.claims.data_scope.max_rows",
        "input.call_args.anything.at[0].all",
        "input.claims.allowed_tools[_]",
        "input.claims.allowed_days[0]",
        "input.session.rate.minute.retry_after_seconds",
        "input.matches.internal_address",
        'input["claims"]["exp"]',
        "input[input.tool_name]",
    ],
)
def test_known_input_paths_pass(path: str) -> None:
    assert inputs(f"y := {path}") == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("y := input.tool", "3: there is no input.tool"),
        ("y := input.claims.alowed_tools[_]", "3: there is no input.claims.alowed_tools"),
        ("y := input.claims.exp.seconds", "3: there is no input.claims.exp.seconds"),
        ("y := input.constraints[_].fild", "3: there is no input.constraints[_].fild"),
        ("y if { some c in input.constraints; c.x }", "3: there is no input.constraints[_].x"),
        ("y if { c := input.claims; c.x == 1 }", "3: there is no input.claims.x"),
        ('y if { k := "x"; input.claims[k] == 1 }', "3: there is no input.claims.x"),
        ("y := input.session.rate.day", "3: there is no input.session.rate.day"),
    ],
)
def test_input_that_the_schema_does_not_know_is_found(rule: str, message: str) -> None:
    assert inputs(rule) == [message]


@pytest.mark.parametrize(
    "rules",
    [
        ["cl := input.claims", "y if cl.rolee"],
        ["cl := input.claims", "de := cl", "y if { c := de; c.rolee == 1 }"],
        ["cl := input.claims if input.a", "cl := input.claims if input.b", "y if cl.rolee"],
        ["y if f(input.claims)", "f(c) if c.rolee"],
        ["y if f(input.claims)", "z if f(input.claims)", "f(c) if c.rolee"],
        ["y if f(input.claims)", "f(c) if g(c)", "g(c) if c.rolee"],
        ["y if f(input.claims)", "f(c) if c.rolee == 1 else if { c.role == 2 }"],
        ["y if { c := f(input); c.rolee }", "f(i) := i.claims"],
        ['y := object.get(input.claims, "rolee", "")'],
        ['y := object.get(input, ["claims", "rolee"], "")'],
        ['y if { k := "rolee"; object.get(input.claims, k, "") }'],
    ],
)
def test_a_wrong_name_is_found_beyond_rules_functions_and_defaults(rules: list[str]) -> None:
    assert "there is no input.claims.rolee" in "".join(inputs(*rules))


@pytest.mark.parametrize(
    "rules",
    [
        ["cl := input.claims", "y if cl.role"],
        ["cl := input.claims if input.action else := input.session", "y if cl.revoked"],
        ["y if f(input.claims)", "z if f(input.session)", "f(c) if c.revoked"],
        ["y if f(input.claims)", 'z if f({"rolee": 1})', "f(c) if c.rolee"],
        ["y if f(input.call_args)", "f(c) if c.rolee"],
        ["y if f(input.claims, input.session)", "f(c, s) if { c.role; s.revoked }"],
        ["y if { some c in input.constraints; f(c) }", "f(c) if c.fit"],
        ["f(c) if c.rolee"],
        ['y := object.get(input, "tool_name", null)'],
        ['y := object.get(input, ["claims", "role"], "")'],
        ['y := object.get(input.call_args, "anything", "")'],
        ['y := object.get(input.claims, input.tool_name, "")'],
        ['y := object.get({"a": input.claims}, "rolee", "")'],
    ],
)
def test_what_may_be_there_by_some_way_passes(rules: list[str]) -> None:
    assert inputs(*rules) == []


def test_each_element_that_a_function_is_given_has_the_fields_of_its_schema() -> None:
    calls = [
        "y if { some c in input.constraints; f(c) }",
        "z if { some d in input.constraints; f(d) }",
    ]
    assert inputs(*calls, "f(c) if c.fit") == []
    assert inputs(*calls, "f(c) if c.fitt") == ["5: there is no input.constraints[_].fitt"]


def test_data_and_rules_are_known_by_their_path() -> None:
    rules = ["a := data.config.limit", "b := data.t.deny.v", "c := data.config.tools[_].name"]
    assert data(*rules, "d := data.t.deny", "e := data.t.other") == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("y := data.config.limits", "3: there is no data.config.limits"),
        ("y := data.t.deny.violation", "3: there is no data.t.deny.violation"),
        ("y := data.nothing.at.all", "3: there is no data.nothing"),
        ("y := data.config.tools[_].nam", "3: there is no data.config.tools[_].nam"),
    ],
)
def test_data_that_nobody_holds_is_found(rule: str, message: str) -> None:
    assert data(rule) == [message]


def test_a_wrong_name_of_a_setting_is_found_in_a_function() -> None:
    assert data("y if f(data.config)", "f(c) if c.limt == 5") == ["4: there is no data.config.limt"]
    assert data("y if f(data.config)", "f(c) if c.limit == 5") == []
    assert data('y := object.get(data.config, "optional", 5)') == []


def test_an_import_of_nothing_is_found_where_it_is_used() -> None:
    plan = plan_of("package t\nimport data.gone\nx := gone.value")
    assert told(unknown_data(plan, DATA)) == ["3: there is no data.gone"]


@pytest.mark.parametrize("document", [{"t": {"x": True}}, {"t": {"x": {"a": 1}}}, {"t": 5}])
def test_data_in_the_place_of_a_rule_is_found(document: dict[str, object]) -> None:
    found = told(overlaps(plan_of("package t\nx := false"), document))
    assert found == ["2: data.json holds a value at data.t.x, which would replace this rule"]


def test_a_rule_in_the_place_of_a_package_is_found() -> None:
    plan = plan_of("package t\nx := 1", "package t.x.y\nz := 1")
    assert told(overlaps(plan, {})) == [
        "2: data.t.x is a rule and a package; every query would fail"
    ]


def test_data_beside_rules_is_fine() -> None:
    assert told(overlaps(plan_of("package t\nx := 1"), DATA)) == []


def test_the_schema_is_closed_where_the_engine_makes_the_input() -> None:
    assert INPUT_SCHEMA["additionalProperties"] is False
    assert "additionalProperties" not in INPUT_SCHEMA["properties"]["call_args"]
