"""Forms in which OPA's users write tests, each with the verdict that OPA gives.

The verdicts are stated here, after https://www.openpolicyagent.org/docs/policy-language and OPA's
v1/tester; another Rego engine is asked as well, where it knows the form.
"""

import json
from functools import cache
from typing import Any

import pytest
import regorus

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.testing.runner import TestResult, run_tests

POLICY = """package authz

import data.lib.text
import data.users

default allow := false

allow if input.user == "root"

allow if {
	input.method == "GET"
	input.path[0] == "public"
}

allow if {
	some role in roles
	role == "admin"
}

roles contains role if some role in users[input.user].roles

deny contains message if {
	input.amount > 100
	message := "too much"
}

deny contains "nobody" if not input.user

deny contains message if {
	input.method == "DELETE"
	message := sprintf("no %s", [input.method])
}

quota[name] := most if some name, most in data.quotas

level := "high" if {
	input.amount > 1000
} else := "middle" if {
	input.amount > 100
} else := "low"

double(x) := x * 2

sign(x) := "negative" if x < 0

sign(x) := "zero" if x == 0

sign(x) := "positive" if x > 0

is_get if input.method == "GET"

readable := is_get

limit := data.limits.max

within if input.amount <= limit

now := time.now_ns()

fresh if time.now_ns() < 100

info := {"user": input.user, "twice": double(input.amount)}

echo := input

fetched := http.send({"method": "get", "url": "https://example.com"}).status_code

label := text.wrap(input.user)
"""
LIBRARY = """package lib.text

wrap(x) := sprintf("<%s>", [x])

greeting := wrap(input.user)
"""
DATA = {
    "users": {"ann": {"roles": ["admin"]}, "bob": {"roles": ["dev"]}},
    "quotas": {"a": 1, "b": 2},
    "limits": {"max": 10, "min": 1},
}
HEAD = """package authz_test

import data.authz
import data.lib.text
import data.lib.text as words
import data.limits as bounds
import data.authz.level as grade

request := {"user": "root", "method": "GET", "path": ["x"]}

cases := {
	"get": {"in": {"method": "GET", "path": ["public"]}, "want": true},
	"post": {"in": {"method": "POST"}, "want": false},
}

by(user) := {"user": user}

allowed(user) if authz.allow with input as by(user)

doubly_allowed(user) if allowed(user) with data.users as {"eve": {"roles": ["admin"]}}

denials contains message if some message in authz.deny with input as {"amount": 500}

levels[amount] := found if {
	some amount in [5, 500, 5000]
	found := authz.level with input as {"amount": amount}
}

mocked_send(_) := {"status_code": 418}

tenfold(x) := x * 10

nothing := request.nothing
"""
# Bodies of tests that OPA passes, an expression on each line.
HOLD = [
    # `with input`, whole.
    'authz.allow with input as {"user": "root"}',
    'not authz.allow with input as {"user": "eve"}',
    "authz.allow with input as request",
    'authz.allow with input as by("root")',
    'authz.allow with input as object.union(request, {"user": "root"})',
    "authz.echo == [1, 2] with input as [1, 2]",
    'authz.echo == "text" with input as "text"',
    "authz.echo == null with input as null",
    "authz.echo == false with input as false",
    'authz.allow == false with input as {"user": "eve"}',
    'authz.allow with input as {\n\t"method": "GET",\n\t"path": ["public"],\n}',
    "not authz.allow\n\twith input as {}",
    # Parts of the input.
    'authz.allow with input.user as "root"',
    'input == {"a": {"b": 1}} with input.a.b as 1',
    'authz.echo == {"a": 1, "b": 2} with input as {"a": 1} with input.b as 2',
    'input["a-b"] == 1 with input["a-b"] as 1',
    # Several overrides of one expression.
    'authz.allow with input.method as "GET" with input.path as ["public"]',
    'authz.allow with input as by("eve") with data.users as {"eve": {"roles": ["admin"]}}',
    "authz.within with data.limits.max as 50 with input.amount as 50",
    # Data.
    'authz.allow with data.users.eve.roles as ["admin"] with input.user as "eve"',
    'authz.quota == {"z": 9} with data.quotas as {"z": 9}',
    "authz.quota.a == 5 with data.quotas.a as 5",
    "authz.within with bounds.max as 50 with input.amount as 50",
    "not authz.limit with data.limits as {}",
    "data.limits.min == 1 with data.limits.max as 2",
    # Rules replaced by values.
    "authz.within with authz.limit as 100 with input.amount as 50",
    "not authz.within with authz.limit as 1 with input.amount as 50",
    "authz.readable with authz.is_get as true",
    "not authz.readable with authz.is_get as false",
    'authz.readable == "yes" with data.authz.is_get as "yes"',
    'grade == "none" with data.authz.level as "none"',
    'authz.allow with authz.roles as {"admin"} with input as {}',
    # Functions and built-ins replaced by values and by functions.
    "authz.double(4) == 80 with authz.double as 80",
    'authz.info.twice == 30 with authz.double as tenfold with input as {"user": "u", "amount": 3}',
    'authz.info.twice == 7 with authz.double as 7 with input as {"user": "u", "amount": 3}',
    'authz.label == "!" with data.lib.text.wrap as "!" with input.user as "x"',
    "authz.now == 7 with time.now_ns as 7",
    "authz.fresh with time.now_ns as 50",
    "not authz.fresh with time.now_ns as 150",
    'authz.fetched == 200 with http.send as {"status_code": 200}',
    "authz.fetched == 418 with http.send as mocked_send",
    # Helpers: nested overrides, chains, other packages, names of imports.
    'allowed("root")\nnot allowed("eve")',
    'doubly_allowed("eve")',
    'not doubly_allowed("bob")',
    'denials == {"too much", "nobody"}',
    'levels == {5: "low", 500: "middle", 5000: "high"}',
    'words.greeting == "<ann>" with input.user as "ann"',
    'text.greeting == "<ann>" with input as {"user": "ann"}',
    'words.wrap("x") == "<x>"',
    'data.lib.text.greeting == "<q>" with input as by("q")',
    'word := "x"\ntext.wrap(word) == "<x>"',
    # Functions of several clauses, else.
    'authz.sign(-1) == "negative"\nauthz.sign(0) == "zero"\nauthz.sign(3) == "positive"',
    'authz.level == "high" with input as {"amount": 1001}\n'
    'authz.level == "middle" with input as {"amount": 1000}\n'
    'authz.level == "low" with input as {"amount": 100}',
    # Partial sets and objects.
    'authz.deny == {"too much"} with input as {"user": "x", "amount": 101}',
    'authz.deny["too much"] with input as {"user": "x", "amount": 101}',
    '"nobody" in authz.deny with input as {}',
    'not "nobody" in authz.deny with input as {"user": "x"}',
    'count(authz.deny) == 0 with input as {"user": "x"}',
    'count(authz.deny) == 3 with input as {"amount": 200, "method": "DELETE"}',
    'authz.deny == set() with input as {"user": "x"}',
    # Variables that get their values under an override.
    'result := authz.level with input as {"amount": 5000}\nresult == "high"',
    'result = authz.level with input as {"amount": 500}\nresult == "middle"',
    'authz.deny[message] with input as {"user": "x", "amount": 101}\nmessage == "too much"',
    'some message\nauthz.deny[message] with input as {"user": "x", "amount": 101}\nmessage',
    'message := authz.deny[_] with input as {"user": "x", "amount": 101}\nmessage == "too much"',
    '[a, b] := [authz.level, 1] with input as {"amount": 500}\na == "middle"\nb == 1',
    '{"user": u, "twice": 4} = authz.info with input as {"user": "k", "amount": 2}\nu == "k"',
    'some i, j\nauthz.echo[i][j] == 1 with input as {"m": {"a": 1}}\n[i, j] == ["m", "a"]',
    'message := "too much"\nauthz.deny[message] with input as {"amount": 101}',
    # some … in … with.
    'some m in authz.deny with input as {"user": "x", "method": "DELETE"}\nm == "no DELETE"',
    'some k, v in authz.echo with input as {"x": 1}\n[k, v] == ["x", 1]',
    'some {"k": v} in authz.echo with input as [{"k": 3}]\nv == 3',
    'some user in ["bob", "root"]\nauthz.allow with input as {"user": user}',
    'some name, case in cases\nauthz.allow with input as case["in"]\nname == "get"',
    # every.
    'every user in ["root", "ann"] { authz.allow with input as {"user": user} }',
    'every user in ["eve", "bob"] { not authz.allow with input as {"user": user} }',
    'every name, case in cases { authz.allow == case.want with input as case["in"] }',
    'every case in cases {\n\tgot := authz.allow with input as case["in"]\n\tgot == case.want\n}',
    "every x in [] { x == 1 }",
    # Comprehensions.
    '{u | some u in ["root", "bob", "ann"]; authz.allow with input as by(u)} == {"root", "ann"}',
    '[u | some u in ["root", "bob"]; not authz.allow with input as by(u)] == ["bob"]',
    '{n: a | some n, c in cases; a := authz.allow with input as c["in"]} == '
    '{"get": true, "post": false}',
    'count({n | some n, c in cases; authz.allow with input as c["in"]}) == 1',
    '[i | some i, _ in ["a", "b"]] == [0, 1]',
    'count([m | m := authz.deny[_] with input as {"amount": 200}]) == 2',
]
# Bodies of tests that OPA fails.
FAIL = [
    "false",
    "1 == 2",
    "x := 1\ny := 2\nx == y",
    'authz.allow with input as {"user": "eve"}',
    'not authz.allow with input as {"user": "root"}',
    'every user in ["root", "bob"] { authz.allow with input as {"user": user} }',
    "authz.echo with input as false",
    'authz.limit with data.limits as {"max": false}',
    # Without an input it is undefined, and not null.
    "input",
    "authz.readable",
    # What follows an override is not under it.
    'authz.is_get with input.method as "GET"\nauthz.is_get',
    # A value that is undefined makes the whole expression undefined, a negated one too.
    "authz.allow with input as nothing",
    "not authz.allow with input as nothing",
    # Objects unify where they have the same keys.
    '{"user": u} = authz.info with input as {"user": "k", "amount": 1}',
    'some m in authz.deny with input as {"user": "x", "amount": 101}\nm == "no DELETE"',
    'authz.deny[message] with input as {"amount": 101}\nmessage == "no DELETE"',
]
# Whole rules: the text, and the outcome of each test in it.
RULES: list[tuple[str, dict[str, str]]] = [
    ("test_value := true", {"test_value": "passed"}),
    ("test_number := 5", {"test_number": "failed"}),
    ('test_text := "true"', {"test_text": "failed"}),
    ('test_object := {"a": true}', {"test_object": "failed"}),
    ("test_false := false", {"test_false": "failed"}),
    ("test_set contains 1", {"test_set": "failed"}),
    ("test_called(x) if x", {"test_called": "failed"}),
    ("test_equal := 1 == 1", {"test_equal": "passed"}),
    ("todo_test_later if false", {"todo_test_later": "skipped"}),
    ("no_test if false\ntest_one if true", {"test_one": "passed"}),
    # Each definition is a test of its own, a default too.
    (
        "test_again if false\n\ntest_again if true\n\ntest_again if 1 == 1",
        {"test_again": "failed", "test_again#01": "passed", "test_again#02": "passed"},
    ),
    (
        "default test_default := false\n\ntest_default if true",
        {"test_default": "failed", "test_default#01": "passed"},
    ),
    ("default test_fine := true", {"test_fine": "passed"}),
    ("test_else if {\n\tfalse\n} else if {\n\ttrue\n}", {"test_else": "passed"}),
    ("test_otherwise := 1 if {\n\tfalse\n} else := true", {"test_otherwise": "passed"}),
    (
        "a.b.test_deep if true\n\na.b.test_deeper if false",
        {"a.b.test_deep": "passed", "a.b.test_deeper": "failed"},
    ),
    ("test_bare if every x in [1, 2] { x > 0 }", {"test_bare": "passed"}),
    (
        "helper if true\n\ntest_helped if helper\n\ntest_chained if test_helped",
        {"test_helped": "passed", "test_chained": "passed"},
    ),
    # With keys: each that the body comes to has to hold.
    ('test_keys[x] if some x in ["foo", "bar"]', {"test_keys": "passed"}),
    ('test_none[x] if { some x in ["foo", "bar"]; false }', {"test_none": "failed"}),
    ('test_some[x] if { some x in ["a", "b", "c"]; x != "b" }', {"test_some": "failed"}),
    ("test_empty[x] if some x in []", {"test_empty": "passed"}),
    (
        'test_nested[x][y] if { some x in ["a", "b"]; some y in ["c", "d"]; [x, y] != ["b", "c"] }',
        {"test_nested": "failed"},
    ),
    (
        'test_noted[case.note] if {\n\tsome case in [{"note": "1", "n": 1}, {"note": "2", "n": 2}]'
        "\n\tgot := case.n * 2\n\tgot == case.n + case.n\n}",
        {"test_noted": "passed"},
    ),
    (
        'test_sums[note] if {\n\tsome note, case in {"one": [1, 1], "two": [2, 5]}\n'
        "\tcase[0] + case[0] == case[1]\n}",
        {"test_sums": "failed"},
    ),
    ('test_valued[x] := x == "a" if some x in ["a", "b"]', {"test_valued": "failed"}),
]
# Of these the other engine has another opinion: it does not replace a function for a rule of the
# same package, and unifies objects that have other keys.
_UNLIKE = ("authz.double as", '{"user": u} = authz.info')


def modules() -> dict[str, str]:
    named = [f"test_{n:03} if {{\n{body}\n}}\n" for n, body in enumerate([*HOLD, *FAIL])]
    found = {"authz.rego": POLICY, "text.rego": LIBRARY, "authz_test.rego": HEAD + "".join(named)}
    for number, (text, _) in enumerate(RULES):
        found[f"rules{number}_test.rego"] = f"package rules{number}_test\n\n{text}\n"
    return found


@cache
def results() -> dict[str, TestResult]:
    return {result.name: result for result in run_tests(modules(), DATA)}


@cache
def other_engine() -> Any:
    engine = regorus.Engine()
    for path in ("authz.rego", "text.rego", "authz_test.rego"):
        engine.add_policy(path, modules()[path])
    engine.add_data_json(json.dumps(DATA))
    return engine


@pytest.mark.parametrize("number", range(len(HOLD)), ids=[text[:60] for text in HOLD])
def test_what_opa_passes_passes(number: int) -> None:
    result = results()[f"data.authz_test.test_{number:03}"]
    assert (result.outcome, result.message) == ("passed", "")


@pytest.mark.parametrize("number", range(len(FAIL)), ids=[text[:60] for text in FAIL])
def test_what_opa_fails_fails_by_its_last_expression(number: int) -> None:
    result = results()[f"data.authz_test.test_{number + len(HOLD):03}"]
    assert result.outcome == "failed"
    # Of `every` it is the one inside.
    assert result.expression
    assert result.expression in FAIL[number].splitlines()[-1]


@pytest.mark.parametrize("number", range(len(RULES)), ids=[text[:40] for text, _ in RULES])
def test_rules_have_the_outcomes_that_opa_gives(number: int) -> None:
    package = f"data.rules{number}_test."
    found = {
        name.removeprefix(package): result.outcome
        for name, result in results().items()
        if name.startswith(package)
    }
    assert found == RULES[number][1]


def test_there_are_enough_forms() -> None:
    assert len(HOLD) + len(FAIL) + len(RULES) >= 60


def test_another_engine_is_of_the_same_opinion() -> None:
    unlike = []
    for number, body in enumerate([*HOLD, *FAIL]):
        value = other_engine().eval_rule(f"data.authz_test.test_{number:03}")
        if (value is True) is not (number < len(HOLD)):
            unlike.append(body)
    assert [body for body in unlike if not any(mark in body for mark in _UNLIKE)] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("test_a if authz.allow with data.authz as {}", "`with` replaces part of what rules"),
        ("test_a if authz.echo with data.authz.echo.x as 1", "`with` replaces part of what rules"),
        (
            "test_a if { k := 1; authz.allow with input[k] as 1 }",
            "the target of `with` is computed",
        ),
        ("test_a if trace(`x`)", "there is no function trace"),
        ("test_a if count([]) == 5 with count as 5", "the engine does not replace count"),
        ("test_a if nobody with input as {}", "nobody is never given a value"),
        ("test_a if not authz.deny[x] with input as {}", "x has no value before `with`"),
    ],
)
def test_what_cannot_be_run_is_a_finding_that_says_so(line: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        run_tests(
            {"authz.rego": POLICY, "text.rego": LIBRARY, "a_test.rego": f"{HEAD}\n{line}\n"}, DATA
        )
    (found,) = caught.value.findings
    assert message in found.message
    assert (found.file, found.line) == ("a_test.rego", HEAD.count("\n") + 2)
