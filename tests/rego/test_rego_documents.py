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
