import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from scopebound_engine.rego import frames
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.plan import Plan

# Rules called more than once, negated, with alternatives, in loops; functions in functions.
POLICY = """package t
test_same if f(3) == f(3)
test_other if not f(3) == f(4)
test_nested if g(1) + g(2) == 13
test_else if [h(1), h(2), h(3)] == ["one", "two", "many"]
test_every if { every n in [1, 2, 3] { some m in [1, 2, 3]; m == n; g(m) == n + 5 } }
test_partial if s == {2, 4}
test_missing if { not u; not w(9); w(1) }
test_wrong if { some n in [1, 2]; g(n) == 5 }
test_absent if u
f(x) := [y | some y in [1, 2, 3]; y < x]
g(x) := z if { y := f(x); count(y) >= 0; z := x + 5 }
h(x) := "one" if { x == 1 } else := "two" if { count(f(x)) == 1 } else := "many"
s contains 2 * n if { some n in [1, 2]; w(n) }
u if data.missing
w(x) if { some n in [1, 2]; n == x }
"""
NAMES = [line.split()[0] for line in POLICY.splitlines() if line.startswith("test_")]


def compiled() -> tuple[dict[str, Any], Plan, Any]:
    names = [f"t/{name}" for name in NAMES]
    document, frame = compile_fast({"t.rego": POLICY}, names, {})
    return document, Plan(document, {"t.rego": POLICY}), frame


def holding(document: Mapping[str, Any], plan: Plan, frame: Any) -> list[str]:
    names = [f"t/{name}" for name in NAMES]
    loaded = LoadedPlan(Encoder(document, frame).encode(names, sorted(plan.functions)))
    return [name for name in NAMES if loaded.holds(f"t/{name}") for _ in range(2)]


def test_a_packed_plan_answers_the_same_with_fewer_places() -> None:
    document, plan, frame = compiled()
    before = holding(document, plan, frame)
    places = frames.pack(document, plan.callees)
    assert places is not None
    assert places * 2 < frame.locals
    assert holding(document, plan, replace(frame, locals=places)) == before
    assert {*NAMES} - {*before} == {"test_wrong", "test_absent"}


def test_those_under_way_together_share_no_place_and_others_do() -> None:
    document, plan, _ = compiled()
    frames.pack(document, plan.callees)
    taken = {item["name"].rpartition(".")[2]: places(item) for item in document["funcs"]["funcs"]}
    assert taken["test_nested"].isdisjoint(taken["g"] | taken["f"])
    assert taken["g"].isdisjoint(taken["f"])
    assert taken["h"].isdisjoint(taken["f"])
    assert taken["test_nested"] & taken["test_every"]


def places(function: Mapping[str, Any]) -> set[int]:
    """All variables of a function but input and data."""
    found = {*function["params"], function["return"]}
    for statement in frames._statements(function["blocks"]):
        found |= {*frames._read(statement["type"], statement["stmt"])}
        found |= {statement["stmt"][name] for name in frames._WRITTEN & statement["stmt"].keys()}
    return found - {0, 1}


def statement(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"{kind}Stmt", "stmt": fields}


def local(number: int) -> dict[str, Any]:
    return {"type": "local", "value": number}


def plan_of(*functions: Sequence[Any]) -> dict[str, Any]:
    """Functions a, b, … of one block with these statements, each with its variables from 10 on."""
    made = [
        {"name": name, "params": [0, 1], "return": 10, "blocks": [{"stmts": [*body]}]}
        for name, body in zip("abc", functions, strict=False)
    ]
    # As from a file: no two statements are one object.
    return json.loads(json.dumps({"plans": {"plans": []}, "funcs": {"funcs": made}}))


RESET = statement("ResetLocal", target=10)
RETURN = statement("ReturnLocal", source=10)
SET = statement("AssignVar", source={"type": "bool", "value": True}, target=10)
ONCE = statement("AssignVarOnce", source={"type": "bool", "value": True}, target=10)


def alternatives(*blocks: Any) -> dict[str, Any]:
    return statement("Block", blocks=[{"stmts": list(block)} for block in blocks])


def test_what_may_be_read_unwritten_keeps_a_place_of_its_own() -> None:
    unsure = [
        [RETURN],
        [ONCE, RETURN],
        [alternatives([statement("IsDefined", source=0), SET]), RETURN],
        [statement("Not", block={"stmts": [SET]}), RETURN],
        [statement("Scan", source=0, key=11, value=12, block={"stmts": [SET]}), RETURN],
    ]
    sure = [
        [RESET, ONCE, RETURN],
        [SET, RETURN],
        [alternatives([RESET], [ONCE]), RETURN],
        [statement("With", local=0, value=local(1), path=[], block={"stmts": [SET]}), RETURN],
        [RESET, statement("Scan", source=0, key=11, value=10, block={"stmts": [RETURN]}), RETURN],
    ]
    for body in unsure:
        assert not shared(body), body
    for body in sure:
        assert shared(body), body


def test_a_variable_that_outlives_calls_keeps_one_place_in_all_functions() -> None:
    mark = statement("AssignVar", source={"type": "bool", "value": True}, target=20)
    document = plan_of([mark, SET, RETURN], [statement("IsDefined", source=20), SET, RETURN])
    frames.pack(document, {"a": [], "b": []}, [20])
    first, second = document["funcs"]["funcs"]
    assert places(first) == places(second) == {2, 3}
    assert first["blocks"][0]["stmts"][0]["stmt"]["target"] == 2


def shared(body: Sequence[Any]) -> bool:
    """Whether a function of this body shares places with another that is never under way then."""
    document = plan_of([SET, RETURN], body)
    first, second = document["funcs"]["funcs"]
    # As compiled: two functions have no variable in common.
    first = json.loads(json.dumps(first).replace("10", "30"))
    document["funcs"]["funcs"] = [first, second]
    frames.pack(document, {"a": [], "b": []})
    return bool(places(first) & places(second))


def test_what_may_be_read_unwritten_is_what_a_copy_of_the_function_left() -> None:
    document = plan_of([SET, RETURN], [ONCE, RETURN])
    assert frames.pack(document, {"a": [], "b": []}) == 3
    assert [places(function) for function in document["funcs"]["funcs"]] == [{2}, {2}]


def test_a_plan_that_calls_by_value_or_in_circles_is_left_alone() -> None:
    dynamic = plan_of([statement("CallDynamic", path=[], args=[], result=10), RETURN])
    circle = plan_of([SET, RETURN], [SET, RETURN])
    for document, callees in ((dynamic, {"a": []}), (circle, {"a": ["b"], "b": ["a"]})):
        before = deepcopy(document)
        assert frames.pack(document, callees) is None
        assert document == before
