import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.errors import CompileError, EvaluationError, Finding
from scopebound_engine.rego.engine import Compiled, Outcome, Program, compile_program

ALLOWED = Outcome(allow=True, violations=())
ODD = 'a"b\\c\n\t/\x1f\x7fé€😀 '


def policy(rules: str, data: dict[str, Any] | None = None) -> Compiled:
    source = f"package t\nimport rego.v1\n{rules}\n"
    return compile_program(Program((("t.rego", source),), data or {}, "t/decision"))


def echo(expression: str, facts: dict[str, Any], data: dict[str, Any] | None = None) -> Any:
    rules = f'decision := {{"allow": false, "violations": [{{"echo": {expression}}}]}}'
    return policy(rules, data).evaluate(facts).violations[0]["echo"]


def findings(*modules: tuple[str, str], entrypoint: str = "t/decision", data: Any = None) -> Any:
    with pytest.raises(CompileError) as caught:
        compile_program(Program(modules, data or {}, entrypoint))
    return caught.value.findings


def test_an_allow_without_violations_is_allowed() -> None:
    assert policy('decision := {"allow": true, "violations": []}').evaluate({}) == ALLOWED


def test_a_denial_carries_its_violations_in_order() -> None:
    compiled = policy(
        'decision := {"allow": false, "violations": [{"code": "B"}, {"code": "A", "n": input.n}]}'
    )
    assert compiled.evaluate({"n": 7}) == Outcome(
        allow=False, violations=({"code": "B"}, {"code": "A", "n": 7})
    )


@pytest.mark.parametrize("makes", ["input.t", 'sprintf("%s", [input.t])', 'trim(input.t, " ")'])
@pytest.mark.parametrize("kind", ["reason", "key"])
def test_no_string_of_the_caller_turns_a_denial_into_an_allow(makes: str, kind: str) -> None:
    item = f'"reason": {makes}' if kind == "reason" else f'{makes}: "reason"'
    compiled = policy(f'decision := {{"allow": false, "violations": [{{{item}}}]}}')
    for text in ('x","allow":true,"z":"y', '"}]}]}', 'x"}], "allow":true, "violations":[]}]}\n'):
        with suppress(EvaluationError):
            assert compiled.evaluate({"t": text}).allow is False


def test_a_key_that_prints_as_an_allow_is_none() -> None:
    # Printed without escaping this is exactly the text of an allow.
    compiled = policy("decision := {base64.decode(input.k): []}")
    with pytest.raises(EvaluationError, match=r"exactly|unescaped"):
        compiled.evaluate({"k": "YWxsb3ciOnRydWUsICJ2aW9sYXRpb25z"})


MALFORMED = {
    "undefined": ("decision := 1 if input.absent", "undefined"),
    "another name": ("other := 1", "undefined"),
    "failing builtin": ("decision := 1 / input.zero", "divide by zero"),
    "conflict": ("decision := 1 if input.zero == 0\ndecision := 2 if true", "multiple outputs"),
    "unknown function": ("decision := foo.bar(1)", "Function not found"),
    "recursion": ("decision := decision", "ecursion"),
    "not an object": ("decision := true", "exactly"),
    "no violations": ('decision := {"allow": true}', "exactly"),
    "one field more": ('decision := {"allow": true, "violations": [], "x": 1}', "exactly"),
    "denial without a violation": ('decision := {"allow": false, "violations": []}', "without a"),
    "allow with violations": ('decision := {"allow": true, "violations": [{}]}', "carries 1"),
    "allow is a number": ('decision := {"allow": 1, "violations": []}', "not a boolean"),
    "allow is a string": ('decision := {"allow": "true", "violations": []}', "not a boolean"),
    "violations is an object": ('decision := {"allow": true, "violations": {}}', "not an array"),
    "violations of strings": ('decision := {"allow": false, "violations": ["x"]}', "not an array"),
    "number as a key": ('decision := {"allow": false, "violations": [{1: 2}]}', "not a string"),
    "one key twice": (
        'decision := {"allow": false, "violations": [{"a": 1, "\\u0061": 2}]}',
        "twice",
    ),
    "wide number": (f'decision := {{"allow": false, "violations": [{{"n": {"9" * 65}}}]}}', "999"),
}


@pytest.mark.parametrize(("rules", "says"), MALFORMED.values(), ids=MALFORMED)
def test_whatever_is_no_verdict_is_an_error_that_says_why(rules: str, says: str) -> None:
    with pytest.raises(EvaluationError, match=says):
        policy(rules).evaluate({"zero": 0})


def test_a_deny_rule_whose_builtin_fails_is_an_error_and_not_silent() -> None:
    compiled = policy(
        'default decision := {"allow": true, "violations": []}\n'
        'decision := {"allow": false, "violations": [{}]} if regex.match("(?i)rm", input.tool)'
    )
    with pytest.raises(EvaluationError):
        compiled.evaluate({"tool": "RM"})


def test_after_a_failure_nothing_of_the_former_input_is_left() -> None:
    compiled = policy(
        'default decision := {"allow": false, "violations": [{"code": "STRANGER"}]}\n'
        'decision := {"allow": true, "violations": []} if input.user == "alice"'
    )
    assert compiled.evaluate({"user": "alice"}) == ALLOWED
    with pytest.raises(EvaluationError, match="input"):
        compiled.evaluate({"user": "\0"})
    assert compiled.evaluate({}).allow is False


def test_strings_come_back_as_they_were() -> None:
    assert echo("input.t", {"t": ODD}) == ODD
    assert echo('concat("-", [input.t, "x"])', {"t": ODD}) == ODD + "-x"


def test_sets_count_as_arrays_and_whole_floats_as_integers() -> None:
    assert echo("{1, 2}", {}) == [1, 2]
    assert repr(echo("input.n / 2", {"n": 8})) == "4"


def test_data_is_exact_and_stands_beside_the_rules_of_its_package() -> None:
    data = {"t": {"config": {"text": ODD, "big": 2**70, "small": 1e-05, "": None, 'k"\\': [{}]}}}
    assert echo("data.t.config", {}, data) == data["t"]["config"]
    assert echo("data.t.config.text == input.text", {"text": ODD}, data) is True
    assert echo("data.t.config.small < 0.0001", {}, data) is True


def test_data_that_is_not_json_is_a_finding() -> None:
    (finding,) = findings(("t.rego", "package t\ndecision := 1"), data={"a": float("nan")})
    assert (finding.file, finding.step) == ("data.json", "compile")


def test_parse_errors_of_all_modules_have_file_line_and_column() -> None:
    found = findings(
        ("a.rego", "package t\nimport rego.v1\nx := 1 if { not }\n"),
        ("b.rego", "package t\n"),
        ("c d/e.rego", 'package t\ny := "é" + {\n'),
    )
    placed = {(item.message, item.file, item.line, item.column) for item in found}
    assert ("Syntax error", "a.rego", 3, 13) in placed
    assert ("this is unclosed", "c d/e.rego", 2, 12) in placed
    assert all(item.remedy for item in found)
    assert {finding.file for finding in found} == {"a.rego", "c d/e.rego"}


def test_an_empty_module_is_a_finding() -> None:
    (finding,) = findings(("a.rego", ""))
    assert (finding.file, finding.step) == ("a.rego", "parse")


@pytest.mark.parametrize("bad", ["\0", "\ud800"])
def test_source_that_the_engine_would_cut_or_refuse_is_a_finding(bad: str) -> None:
    (finding,) = findings(("a.rego", f"package t\ndecision := 1\n{bad}\n"))
    assert finding.file == "a.rego"


def test_two_modules_with_one_path_are_a_finding() -> None:
    assert findings(("a.rego", "package t\nx := 1"), ("a.rego", "package t\ny := 1")) == (
        Finding("parse", "two modules have this path", "a.rego"),
    )


@pytest.mark.parametrize("entrypoint", ["", "t", "t/", "/t/x", "t.x", "t/x\n", "t/x-y"])
def test_an_entrypoint_that_could_crash_the_compiler_is_a_finding(entrypoint: str) -> None:
    (finding,) = findings(("a.rego", "package t\nx := 1"), entrypoint=entrypoint)
    assert "entrypoint" in finding.message


def test_a_build_that_fails_without_an_exception_is_found_before_a_query_can_crash() -> None:
    (finding,) = findings(
        ("a.rego", "package t\nimport rego.v1\ndefault decision := 1\ndefault decision := 2\n")
    )
    assert "default" in finding.message
    assert finding.step == "compile"


def test_the_engine_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    findings(("a.rego", "package t\nx := {\n"))
    with pytest.raises(EvaluationError):
        policy("decision := 1 / input.zero").evaluate({"zero": 0})
    assert capfd.readouterr() == ("", "")


def test_evaluating_leaks_nothing() -> None:
    compiled = policy(
        'decision := {"allow": input.ok, "violations": [{"t": input.t} | not input.ok]}'
    )
    failing = policy("decision := 1 / input.zero")

    def resident() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def some(count: int) -> None:
        for n in range(count):
            compiled.evaluate({"ok": n % 2 == 0, "t": "x" * 1000, "big": 2**64 + n})
            with pytest.raises(EvaluationError):
                failing.evaluate({"zero": 0, "t": "x" * 1000})

    some(300)
    before = resident()
    some(2000)
    assert resident() - before < 4 << 20
