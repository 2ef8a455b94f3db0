"""From an evaluator's reply to a verdict: every field is checked, for the child is not believed."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from scopebound_engine import strict_json
from scopebound_engine.errors import EvaluationError, InputError, UndeclaredCodeError
from scopebound_engine.rego.pool import wire
from scopebound_engine.strict_json import quote, type_name
from scopebound_engine.verdict import (
    ALLOW,
    RETRY_GUIDANCE,
    RetryGuidance,
    Severity,
    Verdict,
    Violation,
)

MAX_REASON: Final = 4_096
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{2,63}")
_REQUIRED: Final = frozenset({"code", "severity", "reason", "retry_guidance"})
_KNOWN: Final = _REQUIRED | {"retry_after_seconds"}


def read_verdict(kind: bytes, body: bytes, codes: Mapping[str, str]) -> Verdict:
    """The verdict in a reply; `codes` are the declared deny codes with their severities.

    Raises EvaluationError for a reply that is none, and for a result that breaks its rules.
    """
    if kind == wire.ALLOW and not body:
        return ALLOW
    content = _content(body)
    if kind == wire.FAILED and type(content) is str:
        raise EvaluationError(content)
    if kind != wire.DENY or type(content) is not list or not content:
        raise EvaluationError("the evaluator's reply is malformed")
    violations = (_violation(item, f"violation {i}", codes) for i, item in enumerate(content, 1))
    return Verdict(allow=False, violations=tuple(violations))


def _content(body: bytes) -> Any:
    try:
        return strict_json.loads(body)
    except InputError as error:
        raise EvaluationError(f"the evaluator's reply is malformed: {error}") from error


def _violation(item: Any, name: str, codes: Mapping[str, str]) -> Violation:
    if type(item) is not dict:
        raise EvaluationError(f"{name} is {type_name(item)}, not an object")
    if missing := sorted(_REQUIRED - item.keys()):
        raise EvaluationError(f"{name} lacks {', '.join(missing)}")
    if unknown := sorted(item.keys() - _KNOWN):
        raise EvaluationError(f"{name} has the unknown field {quote(unknown[0][:64])}")
    return Violation(
        code=_code(item["code"], name, codes),
        severity=_severity(item, name, codes),
        reason=_reason(item["reason"], name),
        retry_guidance=_guidance(item["retry_guidance"], name),
        retry_after_seconds=_seconds(item, name),
    )


def _code(code: Any, name: str, codes: Mapping[str, str]) -> str:
    if type(code) is not str or not _CODE.fullmatch(code):
        raise EvaluationError(f"the code of {name} is not like SCOPE_VIOLATION")
    if code not in codes:
        raise UndeclaredCodeError(code, name)
    return code


def _severity(item: dict[str, Any], name: str, codes: Mapping[str, str]) -> Severity:
    severity, declared = item["severity"], codes[item["code"]]
    if severity != declared:
        given = quote(severity[:64]) if type(severity) is str else type_name(severity)
        raise EvaluationError(
            f"the severity of {name} is {given}, the manifest declares {declared} for "
            f"{item['code']}"
        )
    return cast(Severity, declared)


def _reason(reason: Any, name: str) -> str:
    if type(reason) is not str or not reason.strip():
        raise EvaluationError(f"the reason of {name} is not a text")
    if len(reason) > MAX_REASON:
        tail = f" … (cut, {len(reason)} characters)"
        return reason[: MAX_REASON - len(tail)] + tail
    return reason


def _guidance(guidance: Any, name: str) -> RetryGuidance:
    if guidance not in RETRY_GUIDANCE:
        raise EvaluationError(
            f"the retry_guidance of {name} is none of {', '.join(RETRY_GUIDANCE)}"
        )
    return cast(RetryGuidance, guidance)


def _seconds(item: dict[str, Any], name: str) -> int | None:
    if "retry_after_seconds" not in item:
        return None
    seconds = item["retry_after_seconds"]
    if item["retry_guidance"] != "wait":
        raise EvaluationError(f"{name} has retry_after_seconds without the retry_guidance wait")
    if type(seconds) is not int or seconds < 0:
        raise EvaluationError(f"retry_after_seconds of {name} is not a whole number from 0")
    return seconds
