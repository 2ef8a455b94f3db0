import pytest

from scopebound_engine.errors import CompileError, EngineError, EvaluationError, InputError
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import (
    LoadedPlan,
    compile_fast,
    compile_placed,
    compile_plan,
    parse,
)
from scopebound_engine.rego.sandbox import run_in_child


def loaded(text: str, *entrypoints: str) -> LoadedPlan:
    document, frame = compile_fast({"a.rego": text}, entrypoints, {"limit": 1e-05})
    functions = [function["name"] for function in document["funcs"]["funcs"]]
    return LoadedPlan(Encoder(document, frame).encode(entrypoints, functions))


def test_errors_of_all_modules_are_found_with_their_places() -> None:
    modules = {
        "a/x.rego": "package t\nx := := 1\n",
        "b/x.rego": "package t\n\ny ==== 2\n",
        "c/x.rego": "package t\nz := 1\n",
    }
    assert {(found.file, found.line, found.column) for found in parse(modules)} == {
        ("a/x.rego", 2, 3),
        ("b/x.rego", 3, 3),
    }


def test_what_does_not_compile_is_an_error_whatever_becomes_of_its_process() -> None:
    # Such functions make the engine crash, or eat all memory, now and then: never in this process.
    twice = "package a\n\nf(x) := x\n\nf(x, y) := x\n\np if f(1)\n"
    with pytest.raises(EngineError):
        run_in_child(compile_fast, {"a.rego": twice}, ["a"], {"b": 1}, seconds=20)


def test_files_keep_their_paths_though_their_names_are_alike() -> None:
    plan = compile_plan({"a/x.rego": "package a\nx := 1", "b/x.rego": "package b\nx := 1"}, ["a/x"])
    assert sorted(file["value"] for file in plan["static"]["files"]) == ["a/x.rego", "b/x.rego"]


def test_a_path_that_leads_elsewhere_writes_nothing_there(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("outside")
    compile_plan({f"../../..{folder}/a.rego": "package a\nx := 1"}, ["a/x"])
    assert list(folder.iterdir()) == []


def test_what_fails_after_parsing_is_a_compile_error_too() -> None:
    with pytest.raises(CompileError) as caught:
        compile_plan({"a.rego": "package t\ndefault x := 1\ndefault x := 2\n"}, ["t/x"])
    assert "default" in caught.value.findings[0].message


def test_only_true_holds() -> None:
    text = 'package t\na := true\nb := false\nc := 1\nd := "true"\ne if input.a\nf := [true]'
    plan = loaded(text, "t/a", "t/b", "t/c", "t/d", "t/e", "t/f")
    assert [plan.holds(f"t/{name}") for name in "abcdef"] == [True, *[False] * 5]


def test_data_is_exact() -> None:
    assert loaded("package t\na if data.limit == 0.00001", "t/a").holds("t/a")


def test_a_failing_evaluation_is_an_error_with_its_reason() -> None:
    plan = loaded("package t\na if f(1) == 1\nf(x) := 1 if x\nf(x) := 2 if x", "t/a")
    with pytest.raises(EngineError, match="multiple outputs"):
        plan.holds("t/a")


def test_a_plan_with_places_is_loaded_by_the_frame_that_comes_with_it() -> None:
    modules = {"a.rego": "package t\n\na if {\n\tinput.x == 1\n}"}
    document, frame = compile_placed(modules, ["t/a"], {})
    assert document == compile_plan(modules, ["t/a"])
    plan = LoadedPlan(Encoder(document, frame).encode(["t/a"], ["g0.data.t.a"]))
    plan.set_input({"x": 1})
    assert plan.holds("t/a")
    plan.set_input({"x": 2})
    assert not plan.holds("t/a")


def test_a_value_is_what_the_policy_made_whatever_it_prints_as() -> None:
    plan = loaded('package t\na := {"k": [input.s, 1.5, null], "set": {1}}', "t/a")
    hostile = 'x"]}, "k": ["y\u2028\n'
    plan.set_input({"s": hostile})
    assert plan.value("t/a") == {"k": [hostile, 1.5, None], "set": [1]}


def test_a_value_that_is_undefined_or_failed_is_an_error() -> None:
    plan = loaded(
        "package t\na if input.x\nb := f(1)\nf(x) := 1 if x\nf(x) := 2 if x", "t/a", "t/b"
    )
    with pytest.raises(EvaluationError, match="undefined"):
        plan.value("t/a")
    with pytest.raises(EvaluationError, match="multiple outputs"):
        plan.value("t/b")


def test_an_input_that_cannot_be_given_leaves_none_behind() -> None:
    plan = loaded("package t\na if input.x", "t/a")
    plan.set_input({"x": True})
    assert plan.holds("t/a")
    with pytest.raises(InputError):
        plan.set_input({"x": "\0"})
    assert not plan.holds("t/a")
