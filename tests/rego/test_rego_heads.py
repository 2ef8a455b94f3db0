import pytest

from scopebound_engine.rego.checks.heads import misfits
from tests.rego.plans import parsed, told


def found(*modules: str) -> list[str]:
    return told(misfits(parsed(*(f"package t\nimport rego.v1\n{text}" for text in modules))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import data.a.b\nb := 1", "4: b is imported here and is a rule"),
        ("import data.a.b as c\nc if input.x", "4: c is imported here and is a rule"),
        ("x if { input := 1; input.a }", "3: input is given a value of its own, and hides the"),
        ("x if {\n\tsome data in input.l\n\tdata == 1\n}", "4: data is given a value of its own"),
        ("x if { every input in [1] { input == 1 } }", "3: input is given a value of its own"),
        ("input := 1", "3: input is given a value of its own, and hides the document"),
        ("x := 1\nx contains 2", "4: x is a set here and a value in a.rego:3"),
        (
            "x contains 1\nx[k] := 2 if some k in [1]",
            "4: x is an object here and a set in a.rego:3",
        ),
        ("x(a) := 1\nx := 2 if input.a", "4: x is a value here and a function of 1 in a.rego:3"),
        ("x(a) := 1\nx(a, [b, c]) := 2", "4: x is a function of 2 here and a function of 1 in"),
        ("x := 1\nx := 2", "4: x has another value already: x := 1"),
    ],
)
def test_names_that_do_not_go_together_are_found(text: str, message: str) -> None:
    (only,) = found(text)
    assert only.startswith(message)


def test_names_are_compared_over_the_files_of_a_package() -> None:
    assert found("x contains 1", "\nx := 1 if input.a") == [
        "4: x is a value here and a set in a.rego:3"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "import data.a.b as c\nb := 1",
        "default x := 1\nx := 2 if input.a\nx := 3 if input.b",
        "x := 1\nx := 1",
        "x(1) := 2\nx(a) := 3 if a > 1",
        "x(a, {b, c}) := 1\nx([a, b], c) := 1",
        "x.a := 1\nx.b contains 2\nx.c(y) := 3",
        "x contains 1\nx contains 2 if input.a",
        "x if input.data.input == data.input",
        "x := {input.a: input.b}",
    ],
)
def test_names_that_go_together_pass(text: str) -> None:
    assert found(text) == []


def packaged(*modules: tuple[str, str]) -> list[str]:
    return told(
        misfits(parsed(*(f"package {name}\nimport rego.v1\n{text}" for name, text in modules)))
    )


def test_functions_of_one_name_and_other_arguments_are_found_in_other_packages() -> None:
    """Of these the engine would die, before it says anything."""
    assert packaged(("a", "f(x) := x"), ("b", "f(x, y) := [x, y]")) == [
        "3: f is a function of 2 here and a function of 1 in a.rego:3"
    ]


def test_functions_of_one_name_and_as_many_arguments_pass_in_other_packages() -> None:
    assert packaged(("a", "f(x) := x"), ("b", "f(y) := [y]"), ("c", "f := 1")) == []
