import json
from pathlib import Path
from types import MappingProxyType

import pytest

from scopebound_engine.bundle import gate
from scopebound_engine.bundle.build import build
from scopebound_engine.bundle.inspection import Candidate
from scopebound_engine.bundle.manifest import Manifest
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import CompileError, Finding, GateError

MANIFEST = {
    "name": "shop",
    "version": "1.0.0",
    "entrypoint": "shop/decision",
    "deny_codes": [
        {"code": "TOOL_CLOSED", "severity": "high", "description": "The tool is not open"},
        {"code": "TOO_MUCH", "severity": "low", "description": "The amount is over the limit"},
    ],
}
MAIN = """package shop

import rego.v1

import data.shop.deny

decision := {"allow": allow, "violations": [found | some found in deny.violation]}

default allow := false

allow if {
	tool_open
	count(deny.violation) == 0
}

tool_open if input.tool_name in input.claims.allowed_tools
"""
TOOL = """package shop.deny

import rego.v1

import data.shop

violation contains {
	"code": "TOOL_CLOSED",
	"severity": "high",
	"reason": sprintf("the tool is not open: %v", [object.get(input, "tool_name", null)]),
	"retry_guidance": "none",
} if {
	not shop.tool_open
}
"""
AMOUNT = """package shop.deny

import rego.v1

import data.shop.config

violation contains amount_violation("the amount is over the limit") if not amount_small

amount_small if {
	is_number(input.call_args.amount)
	input.call_args.amount <= config.limit
}

amount_violation(reason) := {
	"code": "TOO_MUCH",
	"severity": "low",
	"reason": reason,
	"retry_guidance": "change_args",
}
"""
TEST = """package shop.deny_test

import rego.v1

import data.shop

call := {
	"tool_name": "buy",
	"call_args": {"amount": 5},
	"claims": {"allowed_tools": ["buy"]},
}

test_small_amounts_are_allowed if shop.decision.allow with input as call

test_large_amounts_are_not if {
	not shop.decision.allow with input as object.union(call, {"call_args": {"amount": 9}})
}
"""
FILES = {
    "manifest.json": json.dumps(MANIFEST),
    "shop/main.rego": MAIN,
    "shop/deny/tool.rego": TOOL,
    "shop/deny/amount.rego": AMOUNT,
    "shop/deny/deny_test.rego": TEST,
    "shop/config/data.json": '{"limit": 7}',
}


def bundle(**changes: str) -> VerifiedBundle:
    """The sound bundle, with texts replaced: a file's path with / and . written as __ and _."""
    files = {**FILES, **{name: text for name, text in changes.items() if name in FILES}}
    encoded = {name: text.encode() for name, text in files.items()}
    return VerifiedBundle(MappingProxyType(encoded), Manifest.of(encoded), "", "", "")


def changed(file: str, old: str, new: str) -> VerifiedBundle:
    assert old in FILES[file]
    return bundle(**{file: FILES[file].replace(old, new)})


def added(text: str, file: str = "shop/deny/amount.rego") -> VerifiedBundle:
    return bundle(**{file: FILES[file] + text})


def inspected(subject: VerifiedBundle) -> list[Finding]:
    """The findings of the steps that run in the child, here: they are the same and faster."""
    codes = {code.code: code.severity for code in subject.manifest.deny_codes}
    candidate = Candidate(
        subject.modules(),
        tuple(subject.rules()),
        subject.data(),
        subject.manifest.entrypoint,
        codes,
    )
    findings: list[Finding] = []
    for step in gate.GATE.values():
        try:
            findings += step(candidate)
        except CompileError as error:
            return [*findings, *error.findings]
    return findings


def test_a_sound_bundle_passes() -> None:
    assert gate.check(bundle()).findings == ()
    assert gate.require(bundle()).errors == ()


def test_the_shipped_policies_pass() -> None:
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    shipped = VerifiedBundle(MappingProxyType(files), Manifest.of(files), "", "", "")
    assert gate.check(shipped).findings == ()


# A rule that is read otherwise than it was meant, or is silent for ever: each allows what it should
# deny, and the engine compiles it without a word.
@pytest.mark.parametrize(
    ("step", "text", "message"),
    [
        ("source", "\0\nviolation contains 1\n", "NUL"),
        ("source", 'x if input.tool_name == "r\\u006d"\n', "escape"),
        ("parse", "x { input.tool_name }\n", "without `if`"),
        ("parse", "x := := 1\n", "Invalid assignment"),
        ("parse", "default x := 1\ndefault x := 2\n", "default already"),
        ("parse", "i := 1\nx if { some i; input.call_args.l[i] }\n", "the variable i"),
        ("plan", "x if input.tool_name in bad_tools\n", "bad_tools is never given a value"),
        ("plan", "x if unknown(input.tool_name)\n", "no function unknown"),
        ("plan", "x if amount_violation()\n", "takes 1 arguments, here are 0"),
        ("plan", "x if not x\n", "depends on itself"),
        ("plan", "x if input.tool == 1\n", "no input.tool"),
        ("plan", "x if input.claims.alowed_tools\n", "no input.claims.alowed_tools"),
        ("plan", "x if config.limits > 1\n", "no data.shop.config.limits"),
        ("plan", "x if data.shop.deny.violations\n", "no data.shop.deny.violations"),
        ("built-ins", "x if max(input.call_args.l) <= 50\n", "max may not"),
        ("built-ins", "x := sort(input.call_args.l)\n", "sort may not"),
        ("built-ins", "x if to_number(input.call_args.a) == 1\n", "to_number may not"),
        ("built-ins", "x if regex.match(`\\s`, input.tool_name)\n", "regex.match may not"),
        ("built-ins", 'x if lower(input.tool_name) == "é"\n', "lower may not"),
        ("built-ins", 'x if net.cidr_contains("10.0.0.0/8", input.tool_name)\n', "cidr_contains"),
        ("built-ins", "x := opa.runtime().env\n", "opa.runtime may not"),
        ("built-ins", 'x if semver.compare("1.0.0", input.tool_name) > 0\n', "semver.compare"),
        ("built-ins", "x := time.now_ns()\n", "time.now_ns may not"),
        ("built-ins", 'x := sprintf("%q", [input.tool_name])\n', "here is %q"),
        ("shapes", "x if input.call_args.amount < 50\n", "not known to be a number"),
        ("shapes", "x if [9, 0] < [18, 0]\n", "not known to be a number"),
        ("shapes", "x if not input.call_args.amount > 50\n", "negated comparison"),
        ("parse", "x if shop with input.tool_name as 1\nshop := 1\n", "`with` in a rule"),
        ("costs", f"x := {{{', '.join(map(str, range(21)))}}}\n", "21 elements"),
    ],
)
def test_a_rule_that_would_not_deny_is_found(step: str, text: str, message: str) -> None:
    found = [finding for finding in inspected(added(text)) if finding.step == step]
    assert any(message in finding.message for finding in found)
    assert all(finding.file == "shop/deny/amount.rego" and finding.line for finding in found)


@pytest.mark.parametrize(
    ("subject", "step", "message"),
    [
        (
            changed("manifest.json", "shop/decision", "shop/decide"),
            "plan",
            "entrypoint shop/decide",
        ),
        (changed("manifest.json", "TOO_MUCH", "TOO_MANY"), "denials", "does not declare TOO_MUCH"),
        (changed("manifest.json", "TOO_MUCH", "TOO_MANY"), "denials", "TOO_MANY is declared"),
        (changed("shop/deny/amount.rego", '"low"', '"high"'), "denials", "severity of TOO_MUCH"),
        (changed("shop/deny/amount.rego", "shop.deny", "shop.deni"), "denials", "TOO_MUCH is decl"),
        (changed("shop/deny/tool.rego", '"reason"', '"reasons"'), "denials", "has no reason"),
        (changed("shop/main.rego", "allow := false", "allow := true"), "behaviour", "no verdict"),
        (
            bundle(**{"shop/config/data.json": '{"limit": 1, "l": [%s0]}' % ("0," * 1000)}),
            "costs",
            "data.shop.config.l has 1001 entries",
        ),
    ],
)
def test_what_does_not_fit_together_is_found(
    subject: VerifiedBundle, step: str, message: str
) -> None:
    found = inspected(subject)
    assert any(finding.step == step and message in finding.message for finding in found), found


def test_an_empty_input_that_is_allowed_is_found() -> None:
    generous = changed("shop/main.rego", "count(deny.violation) == 0", "true").files
    text = generous["shop/main.rego"].decode().replace("\ttool_open\n", "")
    text = text.replace("[found | some found in deny.violation]", "[]")
    assert any(
        finding.message == "an empty input is allowed"
        for finding in inspected(bundle(**{"shop/main.rego": text}))
    )


def test_data_that_replaces_a_rule_is_found() -> None:
    encoded = {name: text.encode() for name, text in FILES.items()}
    encoded["shop/data.json"] = b'{"decision": {"allow": true, "violations": []}}'
    subject = VerifiedBundle(MappingProxyType(encoded), Manifest.of(encoded), "", "", "")
    assert any("would replace this rule" in finding.message for finding in inspected(subject))


def test_all_findings_of_all_steps_come_at_once_with_their_places() -> None:
    subject = added(
        'x if input.tool == max(input.call_args.l)\ny if { not input.call_id == "1" }\n'
    )
    found = gate.check(subject).findings
    line = AMOUNT.count("\n") + 1
    assert [(item.step, item.line, item.column) for item in found] == [
        ("plan", line, 6),
        ("built-ins", line, 20),
        ("shapes", line + 1, 8),
    ]
    with pytest.raises(GateError) as caught:
        gate.require(subject)
    assert caught.value.findings == found
    assert f"shop/deny/amount.rego:{line}:6: there is no input.tool" in str(caught.value)


def test_what_cannot_be_parsed_ends_the_gate_with_all_parse_errors() -> None:
    files = {"shop/main.rego": MAIN + "x := := 1\n", "shop/deny/tool.rego": TOOL + "y { true }\n"}
    found = gate.check(bundle(**files)).findings
    assert {(item.step, item.file) for item in found} == {
        ("parse", "shop/main.rego"),
        ("parse", "shop/deny/tool.rego"),
    }


def test_a_test_of_the_bundle_that_fails_is_found_with_its_expression() -> None:
    subject = changed("shop/deny/deny_test.rego", '"amount": 9', '"amount": 6')
    (found,) = gate.check(subject).errors
    assert (found.step, found.file, found.line) == ("tests", "shop/deny/deny_test.rego", 16)
    assert "not shop.decision.allow with input as" in found.message


def test_a_test_that_hangs_is_found() -> None:
    loop = "test_loop if { some a in r; some b in r; some c in r; a + b + c < 0 }\n"
    loop += "r := numbers.range(1, 3000)\n"
    (found,) = gate.check(added(loop, "shop/deny/deny_test.rego")).errors
    # Whichever comes first: the deadline, or the engine's own bound on statements.
    ending = found.message.partition("test_loop error: ")[2]
    assert ending.startswith(("took longer than", "Maximum statement count reached"))


def test_a_policy_that_crashes_the_engine_is_a_finding() -> None:
    long = 'concat("", [c | some i in numbers.range(1, 30000); c := "a"])'
    subject = added(f"violation contains 1 if regex.match(`.*@a$`, {long})\n")
    found = gate.check(subject).errors
    assert {item.step for item in found} == {"built-ins", "sandbox"}
    assert any("10 empty input" in item.message and "SIGSEGV" in item.message for item in found)


def test_a_policy_that_hangs_the_engine_is_a_finding() -> None:
    loop = '"violations": [replace("a", "", "b") | some _ in [1]], "x": '
    subject = changed("shop/main.rego", '"violations": ', loop)
    found = gate.check(subject, seconds=0.7).errors
    assert "sandbox" in {item.step for item in found}
    assert any("longer than 0.7 s" in item.message for item in found)


def test_the_gate_takes_a_bundle_from_a_folder_of_policies(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    files = build(tmp_path, tmp_path / "manifest.json")
    subject = VerifiedBundle(MappingProxyType(files), Manifest.of(files), "", "", "")
    assert gate.check(subject).findings == ()


def test_a_sum_that_would_fail_quietly_is_found() -> None:
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
def test_a_condition_that_no_call_meets_is_found(condition: str, sound: str) -> None:
    rule = 'violation contains amount_violation("no") if {}\n'
    (found,) = inspected(added(rule.format(condition)))
    assert (found.step, found.line) == ("shapes", AMOUNT.count("\n") + 1)
    assert inspected(added(rule.format(sound))) == []


def test_a_length_of_text_is_found() -> None:
    rule = 'violation contains amount_violation("no") if {}\n'
    (found,) = inspected(added(rule.format("count(input.call_args.password) < 8")))
    assert (found.step, "regex" in found.remedy) == ("built-ins", True)
    assert inspected(added(rule.format("count(input.claims.allowed_tools) > 8"))) == []
