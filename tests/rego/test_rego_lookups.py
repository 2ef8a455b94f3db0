import pytest

from scopebound_engine.rego.checks.documents import unknown_data
from scopebound_engine.rego.checks.reach import chosen_by_calls
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.compiler import compile_plan
from scopebound_engine.rego.lookups import made_plain
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import Local
from tests.rego.plans import told

DATA = {"t": {"config": {"limits": {"buy": 5}, "steps": [1, 2]}}}


def plain(rule: str, package: str = "t.deny") -> Plan:
    modules = {"a.rego": f"package {package}\n\n{rule}\n", "b.rego": "package t\n\nmain := 1\n"}
    document = compile_plan(modules, ["t/main"])
    made_plain(document)
    return Plan(document, modules)


@pytest.mark.parametrize(
    "rule",
    [
        "x := data.t.config.limits[input.tool_name]",
        "x := data.t.config.steps[input.now.hour]",
        "x if data.t.config[input.tool_name].buy == 5",
        "x contains data.t.config.limits[name] if some name in input.claims.allowed_tools",
    ],
)
def test_a_lookup_in_the_data_is_no_choice_between_rules(rule: str) -> None:
    plan = plain(rule)
    assert told(chosen_by_calls(plan)) == []
    assert told(unknown_data(plan, DATA)) == []


def test_what_it_finds_is_known_from_the_data() -> None:
    plan = plain("x := data.t.config.limits[input.tool_name]")
    rule = next(item for name, item in plan.functions.items() if name.endswith("deny.x"))
    assert Values(plan, DATA).kinds(Local(rule.result)) == {"number"}


def test_data_that_is_not_there_is_told_with_its_place() -> None:
    (found,) = unknown_data(plain("x := data.t.config.limts[input.tool_name]"), DATA)
    assert (found.line, found.message) == (3, "there is no data.t.config.limts")


def test_where_a_rule_may_be_meant_it_stays_a_choice() -> None:
    assert len(told(chosen_by_calls(plain("x := data.t[input.tool_name]")))) == 1
