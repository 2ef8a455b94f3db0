from pathlib import Path

import pytest
import regorus

from scopebound_engine.rego.source.normal import definitions, layout, package
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source

POLICIES = Path(__file__).parents[2] / "policies"


def module(text: str) -> Module:
    return Module(Source("a.rego", text))


def tokens(text: str) -> list[tuple[str, ...]]:
    return [found.tokens for found in definitions(module(f"package t\n{text}"))]


def lines(text: str) -> list[str]:
    return layout(tokens(text)[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p if { a; b }", "p if {\n\ta # why\n\n\tb\n}"),
        ("p if { a; }", "p if { a }"),
        ("p := [1, 2]", "p := [\n\t1,\n\t2,\n]"),
        ("p := f(1, {2})", "p := f(\n\t1,\n\t{2,},\n)"),
        ("p := 1 + 2", "p\n:=\n1\n+ 2"),
        ("p := {x | some x in y; z}", "p := {x |\n\tsome x in y\n\tz\n}"),
        ("p if {\n\ta\n} else := 1", "p if {\r\n\ta\r\n}\r\nelse := 1"),
        ("default p := 1", "# METADATA\n# title: P\ndefault\n\tp := 1"),
        ("p contains x if { some x in y }", "p\ncontains\nx if {\nsome\nx\nin y }"),
    ],
)
def test_layout_comments_and_idle_separators_make_no_difference(one: str, other: str) -> None:
    assert tokens(one) == tokens(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # A reference, or two expressions: so read by OPA and by the engine.
        ("p if {\n\tq[0]\n}", "p if {\n\tq\n\t[0]\n}"),
        ("p if {\n\tq(a)\n}", "p if {\n\tq\n\t(a)\n}"),
        ("p if { a }", "p if a"),
        ('p := "a # b"', 'p := "a # c"'),
        ("p := `a\nb`", "p := `a b`"),
        ('p := "a"', "p := `a`"),
        ("p := 1", "p := 1.0"),
        ("p := 1", "default p := 1"),
        ("p if { not a; b }", "p if { a; not b }"),
        ("p := [1, 2]", "p := [2, 1]"),
    ],
)
def test_what_may_mean_something_else_is_something_else(one: str, other: str) -> None:
    assert tokens(one) != tokens(other)


def test_definitions_know_the_imports_they_use_and_no_others() -> None:
    text = (
        "import rego.v1\nimport data.a.b\nimport data.c as d\nimport input.e\n"
        'import data["f"]\n'
        "p := d.b\nq := b\nr := x.e\ns := f"
    )
    assert [layout(found)[:-1] for found in tokens(text)] == [
        ["import data.c as d"],
        ["import data.a.b"],
        [],
        ['import data["f"]'],
    ]


def test_definitions_have_the_name_of_their_head_and_its_line() -> None:
    text = "package t\n\np.q.r := 1\ndefault p := 2\nf(x) if x\nd contains 1\np[x] := 1 if x"
    found = [(each.name, each.line) for each in definitions(module(text))]
    assert found == [("p.q.r", 3), ("p", 4), ("f", 5), ("d", 6), ("p", 7)]


def test_the_package_is_the_whole_path() -> None:
    assert package(module("# c\npackage\n  a.b\np := 1")) == "a.b"
    assert package(module('package a["b"]\np := 1')) == 'a["b"]'
    assert package(module("p := 1")) == ""


def test_a_body_has_a_line_for_each_expression() -> None:
    assert lines("p := -1 if { a - -1 == f(b)[0]; every x in y { x.z }\nnot (c) }") == [
        "p := -1 if {",
        "    a - -1 == f(b)[0]",
        "    every x in y {",
        "        x.z",
        "    }",
        "    not (c)",
        "}",
    ]


def test_what_is_short_stands_on_one_line() -> None:
    text = 'p := {"a": [1], "b": {x | some x in y; x in {1}}}'
    assert lines(text) == [text]


def test_what_is_long_stands_on_several() -> None:
    name = "a" * 40
    assert lines(f'p := f({{"x": {name}, "y": [{name}1]}})') == [
        "p := f(",
        "    {",
        f'        "x": {name},',
        f'        "y": [{name}1]',
        "    }",
        ")",
    ]
    assert lines(f"p := [{name} | some {name} in x; y]") == [
        "p := [",
        f"    {name} |",
        f"    some {name} in x",
        "    y",
        "]",
    ]


def test_lines_of_a_raw_string_stay_as_they_are() -> None:
    assert lines("p := `a\n  b`") == ["p := `a", "  b`"]


@pytest.mark.parametrize("text", ["", "p := (", "p := ]", 'p := "', "}", "p if { ([)] }", "∀ := 1"])
def test_what_is_no_rego_is_laid_out_all_the_same(text: str) -> None:
    for found in tokens(text):
        assert "".join(found) == "".join("".join(layout(found)).split())


@pytest.mark.parametrize("path", sorted(POLICIES.rglob("*.rego")), ids=lambda path: path.stem)
def test_the_layout_is_rego_that_is_laid_out_alike(path: Path) -> None:
    source = Source(path.name, path.read_text())
    package = f"package {'.'.join(source.package)}\n"
    for found in definitions(Module(source)):
        text = "\n".join(layout(found.tokens))
        regorus.Engine().add_policy("a.rego", f"{package}import rego.v1\n{text}\n")
        (again,) = definitions(module(package + text))
        assert again.tokens == found.tokens
