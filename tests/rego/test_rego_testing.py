import sys

import pytest

from scopebound_engine.errors import CompileError, EvaluationError, InputError
from scopebound_engine.rego.testing.runner import TestResult, find_tests, run_tests

RULES = """package shop
import rego.v1
default open := false
open if input.hour < data.shop.closing
"""
TESTS = """package shop_test
import rego.v1
import data.shop

at(hour) := {"hour": hour}

test_open if shop.open with input as at(9)
test_closed if {
	not shop.open with input as at(20)
}
todo_test_sunday if shop.open with input as {}
test_wrong if {
	shop.open with input as at(9)
	x := 3
	shop.open with input as at(
		20,
	)
	x == 4
}
"""
DATA = {"shop": {"closing": 18}}


def outcomes(modules: dict[str, str], **options: float) -> dict[str, str]:
    return {result.name: result.outcome for result in run_tests(modules, DATA, **options)}


def test_tests_pass_fail_and_are_skipped() -> None:
    assert outcomes({"shop.rego": RULES, "shop_test.rego": TESTS}) == {
        "data.shop_test.test_open": "passed",
        "data.shop_test.test_closed": "passed",
        "data.shop_test.todo_test_sunday": "skipped",
        "data.shop_test.test_wrong": "failed",
    }


def test_a_failure_shows_the_expression_that_did_not_hold() -> None:
    results = run_tests({"shop.rego": RULES, "shop_test.rego": TESTS}, DATA, "wrong$")
    assert [(result.file, result.line, result.expression) for result in results] == [
        ("shop_test.rego", 15, "shop.open with input as at( 20, )")
    ]


SEEN = """package shop_test
import rego.v1
import data.shop
at(hour) := {"hour": hour}
late contains name if some name, hour in {"ann": 9, "bob": 20}
test_undefined if shop.opens with input as at(20)
test_negated if not shop.open with input as at(9)
test_sides if count(late) + 1 == 2 * input.n with input.n as 4
test_set if late == {"bob"}
test_many if { some hour in [19, 20, 21, 22]; shop.open with input as at(hour) }
test_every if every hour in [9, 20] { shop.open with input as at(hour) }
test_pairs if {
	cases := {"nine": 9, "ten": 22}
	every name, hour in cases {
		got := shop.open with input as at(hour)
		got == true
	}
}
test_keys[name] if {
	some name, hour in {"a": 9, "b": 20, "c": 21}
	shop.open with input as at(hour)
}
test_found if { shop.echo[key] with input as {"a": 1}; key == "b" }
test_text if shop.wrap("x") == "<y>"
test_long if {
	long := concat("", [x | some n in numbers.range(1, 300); x := "ab"])
	shop.echo == 1 with input as {"long": long}
}
test_escaped if shop.echo == "b" with input as "q\\"\\n"
test_value := 7
test_set_of contains 1
"""
SEEN_RULES = (
    RULES
    + """opens if input.hour < 18
echo := input
wrap(x) := sprintf("<%s>", [x])
"""
)


def test_a_failure_shows_what_its_expression_saw() -> None:
    modules = {"shop.rego": SEEN_RULES, "shop_test.rego": SEEN}
    results = {one.rule: one for one in run_tests(modules, DATA)}
    seen = {name: {one.text: one.value for one in result.seen} for name, result in results.items()}
    assert {result.outcome for result in results.values()} == {"failed"}
    assert seen["test_undefined"] == {"shop.opens": "undefined", "input": '{"hour": 20}'}
    assert seen["test_negated"] == {"shop.open": "true", "input": '{"hour": 9}'}
    assert seen["test_sides"] == {
        "count(late) + 1": "3",
        "2 * input.n": "8",
        "count(late)": "2",
        "late": '{"ann", "bob"}',
        "input.n": "4",
    }
    assert seen["test_set"] == {"late": '{"ann", "bob"}'}
    assert seen["test_many"] == {
        "shop.open": "false",
        "input": '{"hour": 19}, then {"hour": 20}, then {"hour": 21}, and 1 more',
    }
    assert seen["test_every"] == {"hour": "20", "shop.open": "false", "input": '{"hour": 20}'}
    assert results["test_every"].expression == "shop.open with input as at(hour)"
    assert seen["test_pairs"] == {"name": '"ten"', "hour": "22", "got": "false"}
    assert results["test_pairs"].line == 16
    assert results["test_keys"].message == 'fails for "b", "c"'
    assert seen["test_keys"] == {
        "name": '"b"',
        "shop.open": "false",
        "input": '{"hour": 20}',
    }
    assert seen["test_found"] == {"key": '"a"'}
    assert seen["test_text"] == {'shop.wrap("x")': '"<x>"'}
    assert len(seen["test_long"]["shop.echo"]) == 160
    assert seen["test_long"]["shop.echo"].endswith("…")
    assert seen["test_escaped"]["shop.echo"] == '"q\\"\\n"'
    assert results["test_value"].message == "its value is 7"
    assert results["test_set_of"].message == "its value is {1}"


def test_what_cannot_be_asked_of_one_failure_costs_no_other_its_values() -> None:
    # The engine's parser refuses two names before `in` inside of an array, as it is asked for here.
    text = """package odd

test_a if { input.x == 1 with input as {"x": 2} }

test_b if { some k, v in {"a": [2]}; every i, w in v { [k, i, w] == ["a", 0, 3] } }

test_c if { x := 3; x == 4 }
"""
    results = run_tests({"odd.rego": text}, {})
    assert [result.line for result in results] == [3, 5, 7]
    assert {result.expression for result in results} == {
        'input.x == 1 with input as {"x": 2}',
        'every i, w in v { [k, i, w] == ["a", 0, 3] }',
        "x == 4",
    }
    assert [bool(result.seen) for result in results] == [True, False, True]


def test_a_pattern_chooses_by_the_full_name() -> None:
    modules = {"shop.rego": RULES, "shop_test.rego": TESTS}
    chosen = find_tests(modules, r"shop_test\.test_(open|closed)")
    assert [test.rule for test in chosen] == ["test_open", "test_closed"]
    assert [test.line for test in chosen] == [7, 8]
    assert run_tests(modules, DATA, "no such test") == []
    with pytest.raises(InputError, match="not a regular expression"):
        run_tests(modules, DATA, "(")


def test_a_name_may_stand_in_several_packages_and_files() -> None:
    modules = {
        "a_test.rego": "package a\ntest_x if 1 == 1",
        "b_test.rego": "package b\ntest_x if 1 == 2",
        "c_test.rego": "package a\ntest_x if 1 == 3",
    }
    results = run_tests(modules, {})
    assert [(result.file, result.outcome) for result in results] == [
        ("a_test.rego", "passed"),
        ("b_test.rego", "failed"),
        ("c_test.rego", "failed"),
    ]


def test_a_test_that_hangs_is_an_error_of_that_test_alone() -> None:
    text = 'package t\ntest_a if 1 == 1\ntest_hang if replace("abc", "", "x")\ntest_b if 1 == 1'
    results = run_tests({"t_test.rego": text}, {}, seconds_each=0.3)
    assert [result.outcome for result in results] == ["passed", "error", "passed"]
    assert results[1].message == "took longer than 0.3 s"


def test_a_test_that_crashes_the_engine_is_an_error_of_that_test_alone() -> None:
    long = 'concat("", [x | some i in numbers.range(1, 30000); x := "a"])'
    text = (
        f"package t\ntest_a if 1 == 1\ntest_crash if regex.match(`.*@a$`, {long})\ntest_b if 1 == 1"
    )
    results = run_tests({"t_test.rego": text}, {})
    assert [result.outcome for result in results] == ["passed", "error", "passed"]
    assert "SIGSEGV" in results[1].message


def test_an_evaluation_that_fails_is_an_error_not_a_failure() -> None:
    text = "package t\ntest_a if f(1) == 1\nf(x) := 1 if x\nf(x) := 2 if x"
    (result,) = run_tests({"t_test.rego": text}, {})
    assert (result.outcome, result.line) == ("error", 2)
    assert "multiple outputs" in result.message


def test_the_whole_run_has_a_deadline() -> None:
    loop = 'if replace("abc", "", "x")'
    text = "package t\n" + "".join(f"test_{n} {loop}\n" for n in range(9))
    results = run_tests({"t_test.rego": text}, {}, seconds=2, seconds_each=0.4)
    assert {result.outcome for result in results} == {"error"}
    assert len(results) == 9


def test_what_does_not_compile_is_one_error_with_all_findings() -> None:
    modules = {
        "a_test.rego": "package a\ntest_x := := 1",
        "b_test.rego": "package b\ntest_y ==== 2",
    }
    with pytest.raises(CompileError) as caught:
        run_tests(modules, {})
    assert {finding.file for finding in caught.value.findings} == set(modules)


def test_a_misspelled_name_is_found_also_where_the_test_would_pass() -> None:
    text = (
        'package shop_test\nimport data.shop\n\ntest_x if {\n\tnot clsed("a")\n\tnot shopp.open\n}'
    )
    with pytest.raises(CompileError) as caught:
        run_tests({"shop.rego": RULES, "shop_test.rego": text}, DATA)
    assert [(found.line, found.message) for found in caught.value.findings] == [
        (5, "there is no function clsed"),
        (6, "shopp is never given a value"),
    ]


def test_what_does_not_parse_under_an_override_is_found_on_its_line() -> None:
    text = "package a\n\ntest_x if {\n\tinput.y ==== 1 with input as 1\n}\n"
    with pytest.raises(CompileError) as caught:
        run_tests({"a_test.rego": text}, {})
    assert {(found.file, found.line) for found in caught.value.findings} == {("a_test.rego", 4)}


def test_a_compiler_that_crashes_raises() -> None:
    with pytest.raises(EvaluationError, match="SIGABRT"):
        run_tests({"a_test.rego": "package a\nimport data\ntest_x if 1 == 1"}, {})


def test_no_tests_are_no_results() -> None:
    assert run_tests({"shop.rego": RULES}, DATA) == []


def test_the_engine_is_not_loaded_into_this_process() -> None:
    import subprocess

    code = "import scopebound_engine.bundle.gate.gate, sys; sys.exit('regopy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_result_knows_its_entrypoint() -> None:
    assert TestResult("data.a.b.test_x", "a.rego", 1).entrypoint == "a/b/test_x"
