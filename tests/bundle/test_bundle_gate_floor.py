import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from scopebound_engine.bundle.format.manifest import REFERENCE_SEVERITIES
from scopebound_engine.bundle.gate import calls, gate
from scopebound_engine.bundle.gate.behaviour import denied_floor, verdicts_on_all
from scopebound_engine.bundle.gate.calls import MISSING, TOOL_CALL, Case, changed
from scopebound_engine.bundle.gate.floor import floor
from scopebound_engine.bundle.gate.hostile_calls import hostile
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.errors import Finding, GateError
from scopebound_engine.rego.checks.documents import INPUT_SCHEMA
from tests.bundle.gate_samples import MANIFEST, shipped_files, verified

SHIPPED = shipped_files()
HOSTILE = list(hostile(["transfer"], [["env"], ["to", "name"], ["to"]], ["inside"]))
ALLOW_ALL = """package shop

import rego.v1

decision := {"allow": allow, "violations": violations}

allow if count(violations) == 0

default allow := false

violations := [] if {
	input.action
} else := [{
	"code": "TOOL_CLOSED",
	"severity": "high",
	"reason": "there is no call",
	"retry_guidance": "none",
}]
"""


def floor_of(subject: VerifiedBundle, *, acknowledged: bool = False) -> list[Finding]:
    return list(denied_floor(gate.as_candidate(subject, acknowledge_floor=acknowledged)))


def without_rule(*codes: str) -> VerifiedBundle:
    """The shipped bundle without the rules of these codes."""
    files = {n: c for n, c in SHIPPED.items() if not any(code.lower() in n for code in codes)}
    manifest = json.loads(files["manifest.json"])
    declared = [item for item in manifest["deny_codes"] if item["code"] not in codes]
    return verified(
        {**files, "manifest.json": json.dumps({**manifest, "deny_codes": declared}).encode()}
    )


def test_the_shipped_bundle_denies_the_floor_for_the_reason_it_names() -> None:
    candidate = gate.as_candidate(verified(SHIPPED), acknowledge_floor=False)
    answers = list(candidate.trial.answers(floor()))
    assert len(answers) == len(list(floor()))
    for case, answer in answers:
        code = case.name.partition(":")[0]
        assert not answer.allow
        if code in REFERENCE_SEVERITIES:
            assert code in answer.codes, case.name


def test_every_code_of_the_reference_has_a_case() -> None:
    named = {case.name.partition(":")[0] for case in floor()}
    assert REFERENCE_SEVERITIES.keys() <= named


@pytest.mark.parametrize("code", sorted(REFERENCE_SEVERITIES))
def test_a_bundle_without_the_rule_of_a_code_is_refused(code: str) -> None:
    found = [finding for finding in floor_of(without_rule(code)) if code in finding.message]
    # What these deny main.rego does not grant either: it denies, and cannot say why.
    steps = {"SCOPE_VIOLATION": "behaviour", "DELEGATION_DEPTH_EXCEEDED": "behaviour"}
    assert {finding.step for finding in found} == {steps.get(code, "floor")}
    assert {finding.level for finding in found} == {"error"}


def test_a_bundle_that_allows_everything_lets_every_case_through() -> None:
    code = {"code": "TOOL_CLOSED", "severity": "high", "description": "There is no call"}
    manifest = json.dumps({**MANIFEST, "deny_codes": [code]})
    texts = {"shop/main.rego": ALLOW_ALL, "manifest.json": manifest}
    subject = verified({name: text.encode() for name, text in texts.items()})
    found = floor_of(subject)
    allowed = [case for case in floor() if "action" in case.facts]
    assert [finding.message for finding in found] == [
        f"the policy allows {case.name}" for case in allowed
    ]
    assert {finding.level for finding in found} == {"error"}
    assert list(gate.check(subject).errors) == found
    with pytest.raises(GateError, match="the policy allows SESSION_EXPIRED: a revoked session"):
        gate.require(subject)


def test_an_acknowledged_floor_is_a_warning() -> None:
    found = floor_of(without_rule("RATE_LIMIT_EXCEEDED"), acknowledged=True)
    assert {finding.level for finding in found} == {"warning"}
    assert {
        "the policy allows RATE_LIMIT_EXCEEDED: a session without a token for this minute",
        "the policy allows RATE_LIMIT_EXCEEDED: a session without a token for this hour",
        "the policy allows a call without session.rate",
    } <= {finding.message for finding in found}


def cases() -> Iterator[Case]:
    yield from calls.typical()
    yield from floor()
    yield from HOSTILE


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len({*names})


def test_typical_calls_are_as_the_engine_makes_them() -> None:
    for case in calls.typical():
        jsonschema.validate(case.facts, INPUT_SCHEMA)


def test_the_others_are_too_but_for_what_is_missing_or_unknown() -> None:
    for case in cases():
        if not any(word in case.name for word in ("without", "empty", "nothing", "lacks", "knows")):
            jsonschema.validate(case.facts, INPUT_SCHEMA)


def test_typical_calls_are_allowed_by_the_shipped_bundle() -> None:
    candidate = gate.as_candidate(verified(SHIPPED), acknowledge_floor=False)
    assert all(answer.allow for _, answer in candidate.trial.answers(calls.typical()))
    assert list(verdicts_on_all(candidate)) == []


def test_a_changed_call_leaves_the_other_as_it_was() -> None:
    before = json.dumps(TOOL_CALL)
    made: Any = changed(TOOL_CALL, {"/claims/exp": 1, "/session/rate": MISSING})
    made["claims"]["allowed_tools"].append("x")
    assert json.dumps(TOOL_CALL) == before
    assert (made["claims"]["exp"], "rate" in made["session"]) == (1, False)
