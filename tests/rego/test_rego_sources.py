import pytest

from scopebound_engine.rego.checks.sources import malformed, misread, overrides, unsafe_text
from scopebound_engine.rego.source.tokens import Source
from tests.rego.plans import parsed, told


def unsafe(text: str) -> list[str]:
    return told(unsafe_text(Source("a.rego", text)))


def misreadings(*modules: str) -> list[str]:
    return told(misread(parsed(*modules)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ufeffpackage t", "1: begins with a byte order mark"),
        ("package t\n\0x := 1", "2: contains a NUL character"),
        ("package t\rx := 1\r\n", "1: a line ends with CR alone"),
        ("package t\nx := 1 # y := 2", "2: the file ends inside of a comment"),
        (f"package t\nx := {'[' * 51}{']' * 51}", "2: brackets inside of more than 50 others"),
        ('package t\nx := "\\u0041"', "2: the escape \\u in a string never equals the"),
        ('package t\nx := "a\\/b"', "2: the escape \\/ in a string never equals the"),
    ],
)
def test_text_that_the_engine_reads_otherwise_is_found(text: str, message: str) -> None:
    (found,) = unsafe(text)
    assert found.startswith(message)


def test_other_escapes_raw_strings_and_comments_pass() -> None:
    assert unsafe(f"package t\nx := {'[]+' * 99}{'[' * 50}{']' * 50}") == []
    assert unsafe('package t\r\n# \\u0041\nx := "\\\\u \\" \\n \\t é"\ny := `\\u`') == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x := 1", "1: the file does not begin with a package"),
        ("", "1: the file does not begin with a package"),
        ('package t["a"]', "1: the file does not begin with a package"),
        ("package t\nimport data\nx := 1", "2: only paths below data and input can be imported"),
        ("package t\nimport foo.bar\nx := 1", "2: only paths below data and input can be imported"),
        ("package t\nx { input.a }", "2: a rule's body without `if`"),
        ("package t\ndeny[m] { m := 1 }", "2: a rule's body without `if`"),
        ("package t\nx := 1 if { input.a } else := 2 { input.b }", "2: a rule's body without"),
        ("package t\nx if {}", "2: an empty body, which is always true"),
        ("package t\ndefault x := 1\ndefault x := 2", "3: t.x has a default already"),
        ("package t\ni := 1\nx if { some i; input.l[i] }", "3: the variable i has the name of a"),
        ("package t\ni := 1\nx if { [i, j] := input.l; j }", "3: the variable i has the name of"),
    ],
)
def test_syntax_that_is_read_otherwise_is_found(text: str, message: str) -> None:
    assert any(found.startswith(message) for found in misreadings(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('package t\nx := "abc\n}', "2: a string is not closed on its line"),
        ("package t\nx := `abc\n", "2: a raw string is not closed"),
        ("package t\nx := 1 ? 2", "2: '?' has no place in Rego"),
        ("package t\nx := 1\n}\n}\n", "3: } closes nothing"),
        ("package t\nx := [1\n}\n", "3: } cannot close the [ of 2:6"),
        ("package t\nx if {\n\ty\n\nz if { true }\n", "2: { is never closed"),
    ],
)
def test_what_makes_no_rego_of_a_file_is_told_once(text: str, message: str) -> None:
    (found,) = told(malformed(parsed(text)))
    assert found.startswith(message)


def test_brackets_in_texts_and_comments_are_none() -> None:
    assert told(malformed(parsed('package t\nx := "}" # {\ny := `[`\n'))) == []


def test_what_looks_like_an_old_body_but_is_a_value_passes() -> None:
    text = """package t
import rego.v1
import data.a.b
default x := {}
x := {"a": 1} if { true } else := {"b": 2} if true
y contains {1, 2} if true
z if every v in input.l { v }
w if { {1} == {1} }
f(a) := {a | a > 1}
"""
    assert misreadings(text) == []


def test_a_default_in_another_file_of_the_package_counts() -> None:
    assert misreadings("package t\ndefault x := 1", "package t\ndefault x := 2") == [
        "2: t.x has a default already"
    ]
    assert misreadings("package t\ndefault x := 1", "package u\ndefault x := 2") == []


def test_an_override_in_a_rule_is_found_where_it_stands() -> None:
    text = 'package t\ny := input.with\nx := "with a" if y == 2 with y as 2 # with\n'
    assert told(overrides(parsed(text))) == ["3: `with` in a rule"]
