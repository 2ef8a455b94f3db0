import pytest

from scopebound_engine.rego.source.syntax import Module, Rule
from scopebound_engine.rego.source.tokens import Source

MODULE = """package t

import rego.v1
import data.a.b
import data.c as d
import input.claims

default allow := false

allow if {
	some x in input.l
	x ==
		1; not input.y
	count([z | some z in x; z > 1
		z < 9]) == 0
		with input as 3
		with data.q as [1,
			2]
}

f(p, [q, _]) := r if r := p + q
else := 3 if p

xs contains {"a": x} if some x in input.l

every_one if every k, v in input.o { k != v; v }
last := 1
"""


def module(text: str = MODULE) -> Module:
    return Module(Source("a.rego", text))


def rule(name: str) -> Rule:
    return next(rule for rule in module().rules if rule.name == name and not rule.is_default)


def literals(name: str, body: int = 0) -> list[str]:
    found = rule(name).bodies[body].literals
    return [module().text(range(item.start, item.end)) for item in found]


def test_rules_begin_where_the_line_before_ends() -> None:
    names = [rule.name for rule in module().rules]
    assert names == ["allow", "allow", "f", "xs", "every_one", "last"]
    assert [rule.is_default for rule in module().rules][:2] == [True, False]


def test_imports_are_known_by_the_name_they_go_by() -> None:
    assert module().imports == {
        "b": ("data", "a", "b"),
        "d": ("data", "c"),
        "claims": ("input", "claims"),
    }


def test_a_body_splits_at_lines_and_semicolons_but_not_inside_an_expression() -> None:
    assert literals("allow")[:3] == ["some x in input.l", "x ==\n\t\t1", "not input.y"]
    assert len(literals("allow")) == 4


def test_overrides_are_told_from_what_they_apply_to() -> None:
    literal = rule("allow").bodies[0].literals[3]
    spans = [(item.target, item.value) for item in literal.overrides]
    assert [tuple(map(module().text, span)) for span in spans] == [
        ("input", "3"),
        ("data.q", "[1,\n\t\t\t2]"),
    ]
    assert module().text(range(literal.start, literal.core_end)).endswith("== 0")


def test_comprehensions_are_bodies_inside_of_a_literal() -> None:
    (inner,) = rule("allow").bodies[0].literals[3].bodies
    assert [item.declares for item in inner.literals] == [{"z"}, frozenset(), frozenset()]


def test_parameters_belong_to_every_body_of_a_function() -> None:
    first, second = rule("f").bodies
    assert first.variables == second.variables == {"p", "q"}
    assert first.literals[0].declares == {"r"}


def test_the_body_of_every_has_its_variables() -> None:
    (literal,) = rule("every_one").bodies[0].literals
    (body,) = literal.bodies
    assert body.variables == {"k", "v"}
    assert len(body.literals) == 2


def test_what_stands_before_the_value_is_not_part_of_it() -> None:
    found = rule("allow").bodies[0].literals
    assert module().text(range(found[0].term, found[0].core_end)) == "input.l"
    assert module().text(range(found[2].term, found[2].core_end)) == "input.y"
    assert found[0].binds
    assert not found[2].binds


def test_some_without_in_leaves_its_names_without_a_value() -> None:
    (found,) = module("package t\nx if { some a, b; a }").rules
    assert found.bodies[0].literals[0].loose == {"a", "b"}


def test_names_are_variables_not_fields_functions_or_keywords() -> None:
    text = "package t\nx if count(a.b[c]) == time.clock(d).e + input.f"
    found = module(text)
    assert list(found.names(range(len(found.source.tokens))))[2:] == ["a", "c", "d"]


def test_undeclared_names_are_those_of_nobody() -> None:
    text = "package t\nf(p) if {\n\tq := 1\n\tp == q + nobody + known\n}"
    assert module(text).undeclared(4, ["known"]) == ["nobody"]


@pytest.mark.parametrize(
    "text",
    [
        "default\n\tp := 1",
        "p\n\tcontains x if some x in input",
        "p contains\n\tx if some x in input",
        "import\n\tdata.a",
    ],
)
def test_a_statement_goes_on_where_its_line_ends_in_mid_clause(text: str) -> None:
    assert len(module(f"package t\n{text}").statements) == 2


def test_a_field_named_like_a_keyword_ends_its_line() -> None:
    (found,) = module("package t\nx if {\n\tinput.with\n\ty\n}").rules
    assert len(found.bodies[0].literals) == 2


def test_a_line_may_begin_with_the_built_in_contains() -> None:
    (found,) = module('package t\nx if {\n\ty\n\tcontains(y, "a")\n}').rules
    assert len(found.bodies[0].literals) == 2
