import json
from functools import cache

import pytest
import regorus

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast
from scopebound_engine.rego.testing.lowering import Lowered, lower
from scopebound_engine.rego.testing.overrides import wrap

RULES = """package t
import rego.v1
default allow := false
allow if input.x == 1
deny contains "a" if input.n > 1
deny contains "b" if input.n > 2
echo := input
config := data.cfg
number(x) := x
mock(x) := 7
now := 5
later := now + 1
called := number(3)
under if input.n < data.cfg.n
"""
DATA = {"cfg": {"n": 1}}
BASE = """package t_test
import rego.v1
import data.t
import data.cfg as config
base := {"x": 1, "l": [1, 2]}
nothing := base.nothing
call(n) := {"x": n}
allowed(n) if { t.allow with input as {"x": n} }
"""
HOLD = [
    't.allow with input as {"x": 1}',
    'not t.allow with input as {"x": 2}',
    't.echo == {"a": {"b": 3}} with input.a.b as 3',
    "x := t.echo with input as base; x.l == [1, 2]",
    'some v in t.deny with input as {"n": 2}; v == "a"',
    'v := {d | some d in t.deny} with input as {"n": 3}; v == {"a", "b"}',
    'every n in [3, 4] { count(t.deny) == 2 with input as {"n": n} }',
    'every n in [3, 4] { n < 10; count(t.deny) == 2 } with input as {"n": 3}',
    'r := [c | some n in [1, 2, 3]; c := count(t.deny) with input as {"n": n}]; r == [0, 1, 2]',
    't.config == {"n": 5} with data.cfg.n as 5',
    "t.config == 7 with data.cfg as 7",
    "t.config.n == 9 with config.n as 9",
    't.under with input as {"n": 3} with data.cfg.n as 4',
    'not t.under with input as {"n": 3} with data.cfg.n as 3',
    "t.later == 8 with data.t.now as 7",
    "(t.later + t.later) == 14 with data.t.now as 6",
    't.deny[_] == "b" with input as {"n": 3}',
    'k := 3; t.echo[k] == "z" with input as [0, 1, 2, "z"]',
    "not t.allow with input as call(2)\n# with input as\nt.allow\n\twith input as call(\n\t1,\n)",
    'count([1 | t.allow with input as {"x": 1}]) == 1 with data.cfg.n as 3',
    "x := 1; y := [z | some z in input.l] with input as base; y == [1, 2]; x == 1",
    'cases := {"a": [1, true], "b": [2, false]}\nevery name, case in cases {\n'
    '\tgot := t.allow with input as {"x": case[0]}\n\tgot == case[1]\n}',
    "every n in [2, 3] { not t.allow with input.x as n }",
    'every n in [2, 3] { m := n; not t.allow with input as {"x": m} }',
    '"a" in t.deny with input as {"n": 3}',
    'not "a" in t.deny with input as {"n": 0}',
    "t.echo == false with input as false",
    "t.echo == null with input as null",
    't.echo == "q\\"\\\\\\n" with input as "q\\"\\\\\\n"',
    't.echo["a-b"] == 1 with input["a-b"] as 1',
    "x := 5; t.echo == x with input as x",
    "allowed(1); not allowed(2)",
    '{n: r | some n in [1, 2]; r := t.allow with input as {"x": n}} == {1: true, 2: false}',
    't.echo == {"a": 1, "b": 2} with input as {"a": 1} with input.b as 2',
    'input.x == 1 with input as {"x": 1}; not input',
    '"t.allow with input as x" == `t.allow with input as x`',
    't.deny[x] with input as {"n": 2}; x == "a"',
    'some x; t.deny[x] with input as {"n": 3}; x == "b"',
    'x := t.deny[_] with input as {"n": 3}; x == "b"',
    "x = t.echo with input as 3; x == 3",
    'some i; v := t.echo[i] with input as ["a", "b"]; [i, v] == [1, "b"]',
    "count([1 | v := t.echo[_] with input as [4, 4]; v == 4]) == 2",
    '{"a": {"b": v}} = t.echo with input.a.b as 3; v == 3',
    'some i; ["p", "q"][i] == "q"; t.echo == i with input as i',
]
FAIL = [
    "every n in [2, 1] { not t.allow with input.x as n }",
    't.allow with input as {"x": 2}',
    'not t.allow with input as {"x": 1}',
    'x := t.allow with input as {"x": 2}; x',
    'every n in [1, 2] { t.allow with input as {"x": n} }',
    'some v in t.deny with input as {"n": 2}; v == "b"',
    # A value that is undefined makes the expression undefined, also a negated one.
    "t.allow with input as nothing",
    "not t.allow with input as nothing",
    "not t.allow with input as base.nothing",
]


@cache
def sources() -> tuple[str, str]:
    """The tests as rules, with their bodies in braces and, where they are one line, without."""
    numbered = [(f"test_{index}", body) for index, body in enumerate([*HOLD, *FAIL])]
    braced = BASE + "".join(f"{name} if {{\n{body}\n}}\n" for name, body in numbered)
    bare = [
        f"{name} if {body}\n"
        for name, body in numbered
        if not {";", "\n"} & set(body) and not body.startswith(("every", "{"))
    ]
    return braced, BASE.replace("t_test", "bare_test") + "".join(bare)


@cache
def plan() -> LoadedPlan:
    braced, bare = sources()
    lowered = lower({"t.rego": RULES, "t_test.rego": braced, "bare_test.rego": bare})
    names = [f"t_test/test_{index}" for index in range(len(HOLD) + len(FAIL))]
    names += [f"bare_test/{line.split()[0]}" for line in bare.splitlines() if "test_" in line[:5]]
    document, frame = compile_fast(lowered.modules, names, DATA)
    wrap(document, lowered.helpers)
    functions = [function["name"] for function in document["funcs"]["funcs"]]
    return LoadedPlan(Encoder(document, frame).encode(names, functions))


@pytest.mark.parametrize("index", range(len(HOLD)))
def test_what_holds_still_holds(index: int) -> None:
    assert plan().holds(f"t_test/test_{index}")


@pytest.mark.parametrize("index", range(len(HOLD), len(HOLD) + len(FAIL)))
def test_what_does_not_hold_still_does_not(index: int) -> None:
    assert not plan().holds(f"t_test/test_{index}")


def test_a_body_without_braces_is_rewritten_alike() -> None:
    names = [line.split()[0] for line in sources()[1].splitlines() if line.startswith("test_")]
    expected = {f"test_{index}": index < len(HOLD) for index in range(len(HOLD) + len(FAIL))}
    assert {name: plan().holds(f"bare_test/{name}") for name in names} == {
        name: expected[name] for name in names
    }
    assert len(names) > 20


def test_another_rego_engine_says_the_same_of_the_sources() -> None:
    engine = regorus.Engine()
    engine.add_policy("t.rego", RULES)
    engine.add_policy("t_test.rego", sources()[0])
    engine.add_data_json(json.dumps(DATA))
    for index in range(len(HOLD) + len(FAIL)):
        assert (engine.eval_rule(f"data.t_test.test_{index}") is True) is (index < len(HOLD))


def test_functions_are_replaced_by_the_engine_itself() -> None:
    text = BASE + "test_a if t.called == 7 with data.t.number as data.t.mock\n"
    lowered = lower({"t.rego": RULES, "t_test.rego": text})
    document, frame = compile_fast(lowered.modules, ["t_test/test_a"], DATA)
    wrap(document, lowered.helpers)
    functions = [function["name"] for function in document["funcs"]["funcs"]]
    assert LoadedPlan(Encoder(document, frame).encode(["t_test/test_a"], functions)).holds(
        "t_test/test_a"
    )


def lowered(*lines: str) -> Lowered:
    return lower({"t.rego": RULES, "t_test.rego": BASE + "\n".join(lines)})


def test_lines_keep_their_numbers() -> None:
    text = BASE + (
        'test_a if {\n\tt.allow\n\t\twith input as {\n\t\t\t# c\n\t\t\t"x": 1,\n\t\t}\n}\n'
        "test_b if not t.allow with input as call(\n\t2,\n)\nlast := 1\n"
    )
    found = lower({"t.rego": RULES, "t_test.rego": text})
    after = found.modules["t_test.rego"].split("\n")
    for number, line in enumerate(text.split("\n")):
        if '"x": 1' in line or "# c" in line or line.startswith(("last", "test_", "\t2")):
            assert line.split(" ")[0] in after[number]
    first = next(index for index, line in enumerate(after, 1) if line.startswith("__with_1_1("))
    assert "t.allow" in after[first]
    assert found.line("t_test.rego", first + 1) == BASE.count("\n") + 2
    assert found.line("t_test.rego", 3) == 3


def test_modules_without_overrides_are_left_alone() -> None:
    assert lowered().modules["t.rego"] == RULES


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("test_a if { not t.deny[x] with input as {} }", "x has no value before `with` applies"),
        ("test_a if { some v in t.deny[x] with input as {}; v }", "x has no value before `with`"),
        ("test_a if { t.allow with data.t as {} }", "`with` replaces part of what rules define"),
        ("test_a if { t.allow with data as {} }", "`with` replaces part of what rules define"),
        ("test_a if { t.allow with data.t.echo.x as 1 }", "`with` replaces part of what rules"),
        ("test_a if { k := 1; t.allow with input[k] as 1 }", "the target of `with` is computed"),
        ("test_a if { t.allow with input }", "`with` needs a target, `as` and a value"),
        ("test_a := [t.allow with input as {}]", "`with` stands where it cannot be run"),
        ("__with_x := 1", "names that begin with __with_ are taken"),
    ],
)
def test_what_cannot_be_rewritten_with_the_same_meaning_is_found(line: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        lowered("", line)
    (found,) = caught.value.findings
    assert found.message.startswith(message)
    assert (found.file, found.line) == ("t_test.rego", BASE.count("\n") + 2)
