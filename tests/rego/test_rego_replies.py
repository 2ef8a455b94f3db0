import json
from typing import Any

import pytest

from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.replies import MAX_REASON, read_verdict
from scopebound_engine.verdict import ALLOW, Verdict, Violation

CODES = {"SCOPE_VIOLATION": "critical", "RATE_LIMIT_EXCEEDED": "medium"}
SCOPE: dict[str, Any] = {
    "code": "SCOPE_VIOLATION",
    "severity": "critical",
    "reason": "not granted",
    "retry_guidance": "none",
}
RATE: dict[str, Any] = {
    "code": "RATE_LIMIT_EXCEEDED",
    "severity": "medium",
    "reason": "too fast",
    "retry_guidance": "wait",
    "retry_after_seconds": 0,
}


def denial(*violations: Any) -> Verdict:
    return read_verdict(wire.DENY, json.dumps(violations).encode(), CODES)


def test_violations_keep_their_order_and_may_repeat() -> None:
    scope = Violation("SCOPE_VIOLATION", "critical", "not granted", "none")
    rate = Violation("RATE_LIMIT_EXCEEDED", "medium", "too fast", "wait", 0)
    assert denial(RATE, SCOPE, SCOPE) == Verdict(allow=False, violations=(rate, scope, scope))


def test_waiting_need_not_say_how_long() -> None:
    (violation,) = denial({**SCOPE, "retry_guidance": "wait"}).violations
    assert violation.retry_after_seconds is None


def test_a_long_reason_is_cut_visibly() -> None:
    (violation,) = denial({**SCOPE, "reason": "é" * 5000}).violations
    assert len(violation.reason) == MAX_REASON
    assert violation.reason.endswith("é … (cut, 5000 characters)")


def test_an_allow_is_the_fixed_reply_and_nothing_else() -> None:
    assert read_verdict(wire.ALLOW, b"", CODES) is ALLOW
    for kind, body in (
        (wire.ALLOW, b"[]"),
        (wire.DENY, b""),
        (wire.DENY, b"[]"),
        (wire.DENY, b'{"allow":true}'),
        (wire.DENY, b"[" * 100),
        (wire.FAILED, b"[]"),
        (b"X", b'"x"'),
    ):
        with pytest.raises(EvaluationError, match="malformed"):
            read_verdict(kind, body, CODES)


def test_a_failure_keeps_its_reason() -> None:
    with pytest.raises(EvaluationError, match=r"^divide by zero$"):
        read_verdict(wire.FAILED, b'"divide by zero"', CODES)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("SCOPE_VIOLATION", "a string, not an object"),
        ({}, "lacks code, reason, retry_guidance, severity"),
        ({**SCOPE, "allow": True}, 'unknown field "allow"'),
        ({**SCOPE, "code": "OTHER_CODE"}, "OTHER_CODE of violation 1 is not declared"),
        ({**SCOPE, "code": "scope"}, "code of violation 1"),
        ({**SCOPE, "code": "SCOPE_VIOLATION\n"}, "code of violation 1"),
        ({**SCOPE, "code": ["SCOPE_VIOLATION"]}, "code of violation 1"),
        ({**SCOPE, "severity": "low"}, 'is "low", the manifest declares critical'),
        ({**SCOPE, "severity": ["critical"]}, "is an array"),
        ({**SCOPE, "reason": ""}, "reason"),
        ({**SCOPE, "reason": " \n"}, "reason"),
        ({**SCOPE, "reason": 5}, "reason"),
        ({**SCOPE, "reason": None}, "reason"),
        ({**SCOPE, "retry_guidance": "later"}, "retry_guidance"),
        ({**SCOPE, "retry_guidance": {}}, "retry_guidance"),
        ({**SCOPE, "retry_after_seconds": 5}, "without the retry_guidance wait"),
        ({**RATE, "retry_after_seconds": -1}, "whole number"),
        ({**RATE, "retry_after_seconds": 1.5}, "whole number"),
        ({**RATE, "retry_after_seconds": True}, "whole number"),
        ({**RATE, "retry_after_seconds": None}, "whole number"),
        ({**RATE, "retry_after_seconds": "5"}, "whole number"),
    ],
)
def test_a_violation_that_breaks_a_rule_is_no_verdict(item: Any, says: str) -> None:
    with pytest.raises(EvaluationError, match=says):
        denial(item)


def test_the_violation_at_fault_is_named() -> None:
    with pytest.raises(EvaluationError, match="violation 2 lacks"):
        denial(SCOPE, {})
