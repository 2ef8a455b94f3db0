"""What the engine compiles without a word: each is refused, with its file and line."""

import json

import pytest

from scopebound_engine.bundle.signature import VerifiedBundle
from tests.bundle.gate_samples import AMOUNT, FILES, NEXT, TOOL, added, bundle, changed, inspected

AMOUNT_FILE = "shop/deny/amount.rego"
BANNED = (
    *("max([1])", "min([1])", "sort([1])", 'to_number("1")', 'regex.match("a", "a")'),
    *('regex.find_n("a", "a", 1)', 'regex.split("a", "a")', 'regex.replace("a", "b", "c")'),
    *('glob.match("a", [], "a")', 'lower("A")', 'upper("a")', 'trim("a", "a")', 'trim_space("a")'),
    *('trim_left("a", "b")', 'trim_prefix("a", "b")', 'replace("a", "b", "c")', 'split("a", "b")'),
    *('strings.replace_n({"a": "b"}, "a")', 'substring("a", 0, 1)', 'indexof("a", "b")'),
    *('base64.decode("YQ==")', 'hex.decode("61")', 'yaml.unmarshal("a")', 'yaml.marshal("a")'),
    *('json.unmarshal("1")', "json.marshal(1)", "json.patch({}, [])", 'json.filter({}, ["a"])'),
    *('semver.compare("1.0.0", "1.0.0")', 'semver.is_valid("1")', "time.now_ns()"),
    *("time.diff(1, 2)", 'time.parse_rfc3339_ns("x")', "time.weekday(1)", 'rand.intn("a", 2)'),
    *('uuid.rfc4122("a")', "opa.runtime()", "rego.metadata.rule()", 'net.lookup_ip_addr("a")'),
    *('net.cidr_contains("10.0.0.0/8", "10.1.1.1")', 'http.send({"method": "get"})'),
    *('crypto.sha256("a")', 'io.jwt.decode("a")', "walk({})", "print(1)"),
    *('urlquery.decode("a")', 'units.parse("1k")', 'graph.reachable({}, ["a"])'),
    *("object.union({}, {})", "object.subset({}, {})", "bits.and(1, 2)", "format_int(1, 2)"),
    *("numbers.range(1, 3)", 'json.is_valid("1")'),
)

# The step, what is added to amount.rego, in which of its lines the fault is, and what is said.
RULES = [
    ("source", "\0\nviolation contains 1\n", 0, "contains a NUL character"),
    ("source", 'x if input.tool_name == "r\\u006d"\n', 0, "the escape \\u"),
    ("source", 'x if {\n\tinput.tool_name == "a\\/b"\n}\n', 1, "the escape \\/"),
    ("source", 'x if input.tool_name == "\\b"\n', 0, "the escape \\b"),
    ("source", 'x if input.tool_name == "\\f"\n', 0, "the escape \\f"),
    ("parse", "x { input.tool_name }\n", 0, "without `if`"),
    ("parse", "ok := 1\n\nx := }\n", 2, "} closes nothing"),
    (
        "parse",
        "import data.shop.config as limits\nlimits := 1\n",
        1,
        "is imported here and is a rule",
    ),
    ("parse", "default x := 1\ndefault x := 2\n", 1, "default already"),
    ("parse", "i := 1\nx if { some i; input.call_args.l[i] }\n", 1, "the variable i"),
    ("parse", "x if {\n\tinput := 1\n\tinput.a\n}\n", 1, "hides the document"),
    ("parse", "x := 1\nx contains 2\n", 1, "x is a set here and a value in"),
    ("parse", "x := 1\n\nx := 2\n", 2, "x has another value already"),
    ("parse", "x if shop with input.tool_name as 1\nshop := 1\n", 0, "`with` in a rule"),
    ("plan", "x if input.tool_name in bad_tools\n", 0, "bad_tools is never given a value"),
    ("plan", "x if {\n\tinput.action\n\tunknown(input.tool_name)\n}\n", 2, "no function unknown"),
    ("plan", 'x if startwith(input.tool_name, "a")\n', 0, "no function startwith"),
    ("plan", "x if data.shop.nothing(1)\n", 0, "no function data.shop.nothing"),
    ("plan", 'x := trace("a")\n', 0, "no function trace"),
    ("plan", "x := any([true])\n", 0, "no function any"),
    ("plan", "x if amount_violation()\n", 0, "takes 1 arguments, here are 0"),
    ("plan", "x if amount_violation(1, 2, 3)\n", 0, "takes 1 arguments, here are 3"),
    ("plan", "x if count()\n", 0, "count takes 1 arguments, here are 0"),
    ("plan", "x if {\n\tinput.call_args[k] == amonut\n}\n", 1, "amonut is never given a value"),
    ("plan", "x if { y > 1; y := 2 }\n", 0, "before the line that gives it a value"),
    ("plan", "x if not x\n", 0, "depends on itself"),
    ("plan", "x if y\ny if z\nz if x\n", 0, "depends on itself"),
    ("plan", "f(a) := f(a)\nx if f(1)\n", 0, "depends on itself"),
    ("plan", "x if input.tool == 1\n", 0, "no input.tool"),
    ("plan", "x if {\n\tinput.claims.alowed_tools\n}\n", 1, "no input.claims.alowed_tools"),
    ("plan", "x if input.session.rate.second.granted\n", 0, "no input.session.rate.second"),
    ("plan", 'x if input["tool"] == 1\n', 0, "no input.tool"),
    (
        "plan",
        "x if { some c in input.constraints; c.vlaue == 1 }\n",
        0,
        "no input.constraints[_].v",
    ),
    ("plan", "x if config.limits > 1\n", 0, "no data.shop.config.limits"),
    ("plan", "x if data.shop.deny.violations\n", 0, "no data.shop.deny.violations"),
    ("plan", "x if data.shpo.config.limit == 1\n", 0, "no data.shpo"),
    ("plan", "x if data.shop.deny[input.tool_name]\n", 0, "depends on the call"),
    ("built-ins", 'x := sprintf("%q", [input.tool_name])\n', 0, "here is %q"),
    ("built-ins", 'x := sprintf("%d", ["a"])\n', 0, "%d is given a string"),
    ("built-ins", 'x := sprintf("%s", [1])\n', 0, "%s is given a number"),
    ("built-ins", 'x := sprintf("%v", [1, 2])\n', 0, "1 verbs for 2 values"),
    ("built-ins", "x := sprintf(input.tool_name, [1])\n", 0, "not a literal"),
    ("shapes", "x if input.call_args.amount < 50\n", 0, "not known to be a number"),
    ("shapes", 'x if "60000" < "9"\n', 0, "not known to be a number"),
    ("shapes", "x if [9, 0] < [18, 0]\n", 0, "not known to be a number"),
    ("shapes", "x if not input.call_args.amount > 50\n", 0, "negated comparison"),
    ("shapes", "x if {\n\tnot input.call_args.to == 1\n}\n", 1, "negated comparison"),
    ("denials", 'violation contains "no" if input.action\n', 0, "is a string"),
    ("denials", 'violations contains amount_violation("no") if input.action\n', 0, "never sees"),
    ("costs", f"x := {{{', '.join(map(str, range(201)))}}}\n", 0, "201 elements"),
    *(("built-ins", f"x := {call}\n", 0, f"{call.partition('(')[0]} may not") for call in BANNED),
]


@pytest.mark.parametrize(("step", "text", "line", "message"), RULES)
def test_a_rule_that_would_not_deny_is_refused(
    step: str, text: str, line: int, message: str
) -> None:
    found = [finding for finding in inspected(added(text)) if finding.step == step]
    assert [(item.file, item.line) for item in found if message in item.message] == [
        (AMOUNT_FILE, NEXT + line)
    ], found


AMOUNT_RULE = AMOUNT.count("\n", 0, AMOUNT.index("violation contains")) + 1
VIOLATION = AMOUNT.count("\n", 0, AMOUNT.index("amount_violation(reason)")) + 1
TOOL_RULE = TOOL.count("\n", 0, TOOL.index("violation contains")) + 1
WITH = [
    (
        changed("manifest.json", "shop/decision", "shop/decide"),
        ("plan", "", 0, "entrypoint shop/decide"),
    ),
    (
        changed("manifest.json", "TOO_MUCH", "TOO_MANY"),
        ("denials", AMOUNT_FILE, VIOLATION, "does not declare TOO_MUCH"),
    ),
    (
        changed("manifest.json", "TOO_MUCH", "TOO_MANY"),
        ("denials", "manifest.json", 0, "TOO_MANY is declared"),
    ),
    (
        changed(AMOUNT_FILE, '"low"', '"high"'),
        ("denials", AMOUNT_FILE, VIOLATION, "severity of TOO_MUCH"),
    ),
    (
        changed(AMOUNT_FILE, '"change_args"', '"try_again"'),
        ("denials", AMOUNT_FILE, VIOLATION, "retry_guidance must be one of"),
    ),
    (
        changed(AMOUNT_FILE, "shop.deny", "shop.deni"),
        ("denials", AMOUNT_FILE, AMOUNT_RULE, "makes violations that shop/decision never sees"),
    ),
    (
        changed(AMOUNT_FILE, "violation contains", "violations contains"),
        ("denials", AMOUNT_FILE, AMOUNT_RULE, "makes violations that shop/decision never sees"),
    ),
    *(
        (
            changed("shop/deny/tool.rego", f'"{field}"', f'"{field}s"'),
            ("denials", "shop/deny/tool.rego", TOOL_RULE, f"has no {field}"),
        )
        for field in ("code", "severity", "reason", "retry_guidance")
    ),
    (
        bundle(**{"shop/data.json": '{"decision": {"allow": true, "violations": []}}'}),
        ("plan", "shop/main.rego", 7, "would replace this rule"),
    ),
    (
        bundle(**{"shop/data.json": '{"deny": {"amount_small": true}}'}),
        ("plan", AMOUNT_FILE, 9, "would replace this rule"),
    ),
    (
        bundle(**{"data.json": '{"shop": 1}', "shop/config/data.json": "{}"}),
        ("plan", "shop/main.rego", 7, "would replace this rule"),
    ),
    (
        bundle(**{"shop/other.rego": "package shop\n\ndeny := 1\n"}),
        ("plan", "shop/other.rego", 3, "is a rule and a package"),
    ),
    (
        bundle(**{"shop/config/data.json": json.dumps({"limit": 1, "l": [0] * 10_001})}),
        ("size", "", 0, "more than 10,000 are refused"),
    ),
    (
        changed("shop/main.rego", "allow := false", "allow := true"),
        ("behaviour", "", 0, "an empty input gets no verdict"),
    ),
]


@pytest.mark.parametrize(("subject", "expected"), WITH)
def test_what_does_not_fit_together_is_refused(
    subject: VerifiedBundle, expected: tuple[str, str, int, str]
) -> None:
    step, file, line, message = expected
    found = inspected(subject)
    places = [(x.file, x.line) for x in found if x.step == step and message in x.message]
    assert (file, line) in places, found


def test_an_empty_input_that_is_allowed_is_refused() -> None:
    text = FILES["shop/main.rego"].replace("count(deny.violation) == 0", "true")
    text = text.replace("\ttool_open\n", "")
    text = text.replace("[found | some found in deny.violation]", "[]")
    found = inspected(bundle(**{"shop/main.rego": text}))
    assert "an empty input is allowed" in [finding.message for finding in found]


def test_a_sum_that_would_fail_quietly_is_refused() -> None:
    rule = 'violation contains amount_violation("too much") if sum([{}]) > 1000\n'
    unguarded = "l.amount | some l in input.call_args.lines"
    (found,) = inspected(added(rule.format(unguarded)))
    assert (found.step, "is_number(n)" in found.remedy) == ("built-ins", True)
    assert inspected(added(rule.format(unguarded + "; is_number(l.amount)"))) == []


@pytest.mark.parametrize(
    ("condition", "sound"),
    [
        ('input.now.weekday == "Friday"', "input.now.weekday == 4"),
        ('input.action == "toolcall"', 'input.action == "tool_call"'),
        ('"read" in input.tool_name', 'input.tool_name in ["read"]'),
    ],
)
def test_a_condition_that_no_call_meets_is_refused(condition: str, sound: str) -> None:
    rule = 'violation contains amount_violation("no") if {}\n'
    (found,) = inspected(added(rule.format(condition)))
    assert (found.step, found.line) == ("shapes", NEXT)
    assert inspected(added(rule.format(sound))) == []


def test_a_length_of_text_is_refused() -> None:
    rule = 'violation contains amount_violation("no") if {}\n'
    found, *_ = inspected(added(rule.format("count(input.call_args.password) < 8")))
    assert (found.step, "regex" in found.remedy) == ("built-ins", True)
    assert inspected(added(rule.format("count(input.claims.allowed_tools) > 8"))) == []
