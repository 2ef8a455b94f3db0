from scopebound_engine.rego.plan import Element, Path
from scopebound_engine.rego.statements import Local, Place
from tests.rego.plans import plan_of

DENY = """package t.deny

violation contains "é" if {
	some tool in input.claims.allowed_tools
	"é" != tool; not input.call_args[tool].a
}
"""
MAIN = """package t
x if count(data.t.deny.violation) == 0
f(p) := p
"""


def test_functions_are_known_by_package_and_name() -> None:
    plan = plan_of(MAIN, DENY)
    assert {function.path for function in plan.functions.values()} == {
        ("t", "x"),
        ("t", "f"),
        ("t", "deny", "violation"),
    }
    assert len(plan.functions["g0.data.t.f"].params) == 1


def test_places_are_lines_and_characters_of_the_file_by_its_path() -> None:
    negation = next(item for item in plan_of(MAIN, DENY).statements if item.kind == "Not")
    assert negation.place == Place("b.rego", 5, 15)


def test_values_are_traced_to_the_document_path_they_come_from() -> None:
    plan = plan_of(MAIN, DENY)
    dots = [plan.path(item.target or 0) for item in plan.statements if item.kind == "Dot"]
    assert ("input", ("claims", "allowed_tools")) in dots
    root, steps = next(path for path in dots if path[1][-1:] == ("a",))
    assert (root, steps[0], steps[2]) == ("input", "call_args", "a")
    assert isinstance(steps[1], Element)


def test_a_parameter_that_nobody_gives_is_where_tracing_ends() -> None:
    plan = plan_of(MAIN, DENY)
    (number,) = plan.functions["g0.data.t.f"].params
    assert plan.path(number) == (Local(number), ())


def path_of_parameter(*rules: str) -> Path:
    plan = plan_of("\n".join(["package t", "x := 1", "f(p) := p", *rules]))
    (number,) = plan.functions["g0.data.t.f"].params
    return plan.path(number)


def test_a_parameter_is_the_path_that_all_calls_pass() -> None:
    assert path_of_parameter("a := f(input.a)", "b := f(input.a)") == ("input", ("a",))
    assert isinstance(path_of_parameter("a := f(input.a)", "b := f(input.b)")[0], Local)
    assert isinstance(path_of_parameter("a := f(input.a)", "b := f(1)")[0], Local)


def test_a_parameter_may_be_an_element_of_one_list() -> None:
    element = "if { some e in input.l; f(e) }"
    root, steps = path_of_parameter(f"a {element}", f"b {element}")
    assert (root, steps[0], isinstance(steps[1], Element)) == ("input", "l", True)


def test_what_a_function_gives_differs_from_call_to_call() -> None:
    plan = plan_of(
        "package t\nx if f(input.a) == f(input.b)\nf(p) := p.c\ny := r == r\nr := input.d"
    )
    calls = plan.calls["g0.data.t.f"]
    assert len({plan.path(call.target or 0) for call in calls}) == 2
    assert {plan.path(call.target or 0) for call in plan.calls["g0.data.t.r"]} == {
        ("input", ("d",))
    }


def test_calls_are_found_by_name_and_followed() -> None:
    plan = plan_of(MAIN, DENY)
    assert [call.block.function for call in plan.calls["count"]] == ["g0.data.t.x"]
    assert plan.callees["g0.data.t.x"] == ["g0.data.t.deny.violation", "count"]
    assert plan.reachable("g0.data.t.x") == {"g0.data.t.x", "g0.data.t.deny.violation"}
    assert plan.reachable("g0.data.t.nothing") == frozenset()


def test_literal_strings_come_without_their_quotes() -> None:
    plan = plan_of('package t\nx := f("a", "\\"b\\"")\nf(p, q) := [p, q]')
    call = plan.calls["g0.data.t.f"][0]
    assert call.reads[2:] == ("a", '\\"b\\"')
