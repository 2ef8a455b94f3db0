"""What a policy makes of its matchers: what cannot be judged is denied, or it is a finding."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import pytest
from matcher_policies import HEAD, WORDS, random_policy, violation

from scopebound_engine.errors import EvaluationError, Finding
from scopebound_engine.rego.checks.matchers import check
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.engine import compile_program
from scopebound_engine.rego.program import Program
from tests.rego.plans import plan_of, told

DECLARED = {"a": ("call_args", "to"), "b": ("tool_name",)}
GRANTED = 'granted if input.tool_name == "x"'
# The line on which the rules of a test begin.
FIRST = HEAD.count("\n") + 2


def findings(
    *rules: str, declared: Mapping[str, Sequence[str]] = DECLARED, granted: str = GRANTED
) -> list[Finding]:
    source = "\n".join([HEAD + granted, *rules])
    return [*check(Values(plan_of(source, entrypoint="t/decision"), {}), "t/decision", declared)]


def found(*rules: str, granted: str = GRANTED) -> list[str]:
    return told(findings(*rules, granted=granted))


def denies(condition: str) -> str:
    return f"{violation()} if {{ {condition} }}"


@pytest.mark.parametrize(
    "condition",
    [
        'input.matches.a == "unfit"',
        'input.matches.a == "absent"',
        'input.matches.a != "yes"',
        'input.matches.a != "no"',
        '"no" != input.matches.a',
        'input.matches["a"] != "yes"',
        'input["matches"]["a"] != "yes"',
        'input.matches.a in ["no", "unfit"]',
        'input.matches.a in {"yes", "unfit", "absent"}',
        'm := input.matches.a; m != "yes"',
        'm := input.matches; m.a != "yes"',
        '{"a": m, "b": _} := input.matches; m != "yes"',
        'some m in [input.matches.a, input.matches.b]; m != "yes"',
        'every m in [input.matches.a, input.matches.b] { m != "yes" }',
        '"unfit" in [input.matches.a, input.matches.b]',
        '"unfit" in input.matches',
        'some _, m in input.matches; m in ["no", "unfit"]',
        'object.get(input.matches, "a", "unfit") != "yes"',
        'object.get(input, ["matches", "a"], "unfit") != "yes"',
        "not input.matches.a",
        "not is_string(input.matches.a)",
    ],
)
def test_a_condition_of_a_violation_that_holds_for_unfit_passes(condition: str) -> None:
    assert found(denies(condition)) == []


@pytest.mark.parametrize(
    "condition",
    [
        'input.matches.a == "yes"',
        'input.matches.a == "no"',
        '"no" == input.matches.a',
        'input.matches["a"] == "no"',
        'input.matches.a in ["no", "absent"]',
        'not input.tool_name; input.matches.a in {"yes"}',
        'm := input.matches.a; m == "no"',
        'm := input.matches; m.a == "no"',
        '[m] := [input.matches.a]; m == "no"',
        'object.get(input.matches, "a", "unfit") == "no"',
        '"no" in [input.matches.a, input.matches.b]',
        'some m in {input.matches.a, input.matches.b}; m == "no"',
        'some _, m in input.matches; m == "no"',
        'every m in [input.matches.a, input.matches.b] { m == "no" }',
    ],
)
def test_a_condition_that_denies_yes_or_no_and_not_unfit_is_found(condition: str) -> None:
    (message,) = found(denies(condition))
    assert message.startswith(f"{FIRST}: this denies ")
    assert message.endswith('but not "unfit"')


@pytest.mark.parametrize(
    "helper",
    [
        'fine if input.matches.a == "yes"',
        'fine if input.matches.a in ["yes", "absent"]',
        'fine if { input.matches.a == "yes"; input.tool_name == "x" }',
        'fine if input.matches.a == "yes"\nfine if input.matches.b == "yes"',
        'fine if { input.matches.a == "yes" } else if { input.matches.a == "absent" }',
        'default fine := false\nfine if input.matches.a == "yes"',
        'fine := true if input.matches.a == "yes" else := false',
        'fine := false if input.matches.a in ["no", "unfit"] else := true',
        'fine if { every m in [input.matches.a, input.matches.b] { m == "yes" } }',
        'fine if sound\nsound if input.matches.a == "yes"',
        'fine if not doubtful\ndoubtful if input.matches.a != "yes"',
        'fine if said(input.matches.a)\nsaid("yes")\nsaid("absent")',
        'fine if said(input.matches.a, 1)\nsaid(word, n) if { input.now.hour == n; word == "yes" }',
    ],
)
def test_a_helper_whose_absence_denies_may_hold_for_yes_alone(helper: str) -> None:
    assert found(denies("not fine"), helper) == []
    assert found(granted=f"granted if fine\n{helper}") == []


@pytest.mark.parametrize(
    "helper",
    [
        'fine if input.matches.a != "no"',
        'fine if input.matches.a in ["yes", "unfit"]',
        'fine if input.matches.a == "unfit"',
        'fine if input.matches.a == "yes"\nfine if input.matches.b != "no"',
        'fine if { every m in [input.matches.a] { m != "no" } }',
        'fine if said(input.matches.a)\nsaid(word) if word != "no"',
    ],
)
def test_a_helper_that_spares_unfit_a_denial_is_found(helper: str) -> None:
    for told_of in (found(denies("not fine"), helper), found(granted=f"granted if fine\n{helper}")):
        (message,) = told_of
        assert 'spares "unfit" of input.matches.' in message


@pytest.mark.parametrize(
    "helper",
    [
        'fine := false if input.matches.a == "no" else := true',
        'fine if not doubtful\ndoubtful if input.matches.a == "no"',
        'fine if not doubtful\ndoubtful if not clear\nclear if input.matches.a == "yes"\n'
        'doubtful if input.matches.a == "no"',
    ],
)
def test_what_turns_round_twice_is_followed(helper: str) -> None:
    assert 'denies "no" of input.matches.a but not "unfit"' in found(denies("not fine"), helper)[0]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        # A value is compared or looked at, which was chosen by an answer.
        ([denies('s == "bad"'), 's := "bad" if input.matches.a == "no" else := "fine"'], "cannot"),
        ([denies("s > 1"), 's := 2 if input.matches.a == "no" else := 1'], "cannot be told"),
        ([denies("count(s) > 0"), 's contains 1 if input.matches.a != "yes"'], "cannot be told"),
        ([denies('count({1 | input.matches.a == "yes"}) > 0')], "cannot be told"),
        ([denies("some x in s"), 's := [1 | input.matches.a == "yes"]'], "cannot be told"),
        # Nobody calls it, or not by its name.
        (['s if input.matches.a == "no"'], "cannot be told"),
        ([denies("data.t[input.tool_name]"), 's if input.matches.a == "no"'], "be followed"),
        # What is done with an answer is no comparison with literals.
        ([denies("s"), 's := input.matches.a == "yes"'], "cannot be followed"),
        ([denies("input.matches.a == input.matches.b")], "cannot be followed"),
        ([denies("input.matches.a == input.tool_name")], "cannot be followed"),
        ([denies("input.matches.a in data.words")], "cannot be followed"),
        ([denies("input.matches.a in s"), 's contains "unfit" if input.x'], "cannot be followed"),
        ([denies("s[input.matches.a]"), 's := {"no": true}'], "cannot be followed"),
        ([denies("object.get(s, input.matches.a, 1) == 1"), 's := {"no": 1}'], "be followed"),
        ([denies('startswith(input.matches.a, "n")')], "cannot be followed"),
        ([denies('concat("", [input.matches.a]) == "no"')], "cannot be followed"),
        ([denies('sprintf("%v", [input.matches]) == "x"')], "cannot be followed"),
        ([denies('[input.matches.a, input.matches.b] == ["yes", "yes"]')], "cannot be followed"),
        ([denies('{input.matches.a} & {"no"} != set()')], "cannot be followed"),
        ([denies('{"k": input.matches.a}.k == "no"')], "cannot be followed"),
        ([denies('input.matches == {"a": "no", "b": "no"}')], "cannot be followed"),
        ([denies('some x in [input.matches]; x.a == "no"')], "cannot be followed"),
        ([denies("s([input.matches.a])"), 's(l) if "no" in l'], "cannot be followed"),
        ([denies('"a", "no" in input.matches')], "cannot be followed"),
        ([denies('[input.matches.a][0] == "no"')], "cannot be followed"),
        ([denies('some l in [[input.matches.a]]; "no" in l')], "cannot be followed"),
        ([denies('s["no"]'), "s contains input.matches.a"], "cannot be followed"),
        ([denies('object.get({"k": input.matches}, "k", 1).a == "no"')], "cannot be followed"),
        ([denies('object.filter(input.matches, ["a"]).a == "no"')], "cannot be followed"),
        ([denies('object.remove(input, ["x"]).matches.a == "no"')], "input here cannot be"),
        ([denies('some k, v in input; k == "matches"; v.a == "no"')], "input here cannot be"),
        ([denies('input[input.tool_name].a == "no"'), denies("input.matches.b")], "input here"),
        ([denies('[input][0].matches.a == "no"')], "input here cannot be followed"),
    ],
)
def test_what_cannot_be_known_is_found(rules: list[str], message: str) -> None:
    assert message in found(*rules)[0]


@pytest.mark.parametrize(
    ("reason", "rules"),
    [
        ("why", ['why := "no" if input.matches.a == "no" else := "unfit"']),
        ("why(1)", ['why(_) := "no" if input.matches.a == "no" else := "unfit"']),
        ("why", ['why := concat("", ["x", s])', 's := "n" if input.matches.a == "no" else := "u"']),
        ('sprintf("the answer is %s", [input.matches.a])', []),
        ('sprintf("%v", [input.matches])', []),
        ("input.matches.a", []),
    ],
)
def test_an_answer_may_choose_the_reason_that_is_shown(reason: str, rules: list[str]) -> None:
    assert found(f'{violation(reason)} if input.matches.a != "yes"', *rules) == []


def test_a_reason_that_unfit_does_not_have_would_take_the_denial_with_it() -> None:
    (message,) = found(
        f'{violation("why")} if input.matches.a != "yes"',
        'why := "no" if input.matches.a == "no" else := "absent" if input.matches.a == "absent"',
    )
    assert 'this denies "no" of input.matches.a but not "unfit"' in message


def test_a_violation_that_a_helper_makes_is_one() -> None:
    made = 'made(reason) := {"code": "X", "severity": "low", "reason": reason}'
    rule = 'violation contains made("r") if input.matches.a {}'
    assert found(made, rule.format('!= "yes"')) == []
    assert len(found(made, rule.format('== "no"'))) == 1


def test_bodies_that_share_the_name_of_a_variable_are_told_apart() -> None:
    other = denies('m := input.tool_name; m == "x"')
    assert found(denies('m := input.matches.a; m != "yes"'), other) == []
    assert len(found(denies('m := input.matches.a; m == "yes"'), other)) == 1


def test_a_matcher_that_is_not_declared_is_found_where_it_is_read() -> None:
    (finding,) = findings(denies('input.matches.c != "yes"'))
    assert (finding.file, finding.line, finding.step) == ("a.rego", FIRST, "matchers")
    assert "the manifest declares no matcher c" in finding.message
    assert finding.remedy == "it declares a, b"
    assert (
        "declares no matcher c" in found(denies('object.get(input.matches, "c", "no") != "no"'))[0]
    )


def test_a_key_that_is_computed_is_found() -> None:
    (message,) = found(denies('some name in ["a", "b"]; input.matches[name] != "yes"'))
    assert message == f"{FIRST}: which matcher is read here cannot be told"


def test_a_matcher_that_no_rule_reads_is_a_warning() -> None:
    (finding,) = findings(declared={**DECLARED, "c": ("call_args", "cc")})
    assert (finding.level, finding.file) == ("warning", "manifest.json")
    assert finding.message == "matchers.c: no rule reads input.matches.c"
    everything = denies('some _, m in input.matches; m == "unfit"')
    assert findings(everything, declared={**DECLARED, "c": ("call_args", "cc")}) == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("claims", "rolee"), "there is no text at /claims/rolee"),
        (("claims", "exp"), "there is no text at /claims/exp"),
        (("claims", "allowed_tools"), "there is no text at /claims/allowed_tools"),
        (("claims", "role"), None),
        (("claims", "parent_session_id"), None),
        (("claims", "allowed_tools", "0"), None),
        (("claims", "bound", "allowed_mcp_servers", "12"), None),
        (("call_args", "any", "0", "thing"), None),
        (("child", "role"), None),
        (("mcp_server",), None),
    ],
)
def test_a_path_to_what_is_never_a_text_is_found(path: Sequence[str], message: str | None) -> None:
    rule = denies('input.matches.x != "yes"')
    told_of = errors(findings(rule, declared={**DECLARED, "x": path}))
    assert told_of == ([f"0: matchers.x: {message}"] if message else [])


def test_a_policy_without_matchers_has_no_findings() -> None:
    assert findings(denies('input.tool_name == "x"'), declared={}, granted="granted") != []


def errors(items: Sequence[Finding]) -> list[str]:
    return told(item for item in items if item.level == "error")


def spared(source: str) -> bool:
    """Whether a call is allowed with "unfit" that is denied with "yes" or "no" in its place."""
    ruler = compile_program(Program((("a.rego", source),), {}, "t/decision"))

    def denied(a: str, b: str, tool: str) -> bool:
        try:
            facts = {"matches": {"a": a, "b": b}, "tool_name": tool}
            return not ruler.evaluate(facts).allow
        except EvaluationError:
            return True

    def unfair(denied_with: Callable[[str], bool]) -> bool:
        return (denied_with("yes") or denied_with("no")) and not denied_with("unfit")

    return any(
        unfair(lambda word: denied(word, other, tool))  # noqa: B023
        or unfair(lambda word: denied(other, word, tool))  # noqa: B023
        for tool, other in product("xy", WORDS)
    )


def test_no_policy_that_passes_allows_unfit_what_it_denies_yes_or_no() -> None:
    verdicts = []
    for seed in range(80):
        source = random_policy(seed)
        values = Values(plan_of(source, entrypoint="t/decision"), {})
        passes = not errors([*check(values, "t/decision", DECLARED)])
        verdicts.append((passes, spared(source)))
        assert verdicts[-1] != (True, True), f"seed {seed}:\n{source}"
    # The test has something to say: policies of both kinds are among them.
    assert verdicts.count((True, False)) > 4
    assert verdicts.count((False, True)) > 15
