"""Records of the decision log: what was asked, what was answered, and all it takes to decide again.

A record is one JSON object; a key is there where it means something. What the keys are is said in
the README.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final, Literal

from scopebound_engine import base64url, strict_json
from scopebound_engine.decision.active import BundleRef
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.errors import InputError
from scopebound_engine.masking import ARGUMENTS, Masked, Masks
from scopebound_engine.rego.pool.teller import Origins
from scopebound_engine.verdict import Verdict, Violation

Action = Literal["tool_call", "mcp_tool_call", "delegate"]

ENGINE: Final = version("scopebound-engine")
_SUBJECTS: Final[Mapping[Action, str]] = {
    "tool_call": "tool_call",
    "mcp_tool_call": "mcp_tool_call",
    "delegate": "delegation",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Of claims that nobody signed: as many bytes of them, as JSON, are kept.
_UNVERIFIED_BYTES: Final = 4_096
_UNSAID: Final = "not recorded, because it may repeat a masked argument; the answer said it"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to decide. `fields` are the record's `request`.

    `arrived` is a time of `time.monotonic()`. `token` is read where it was not believed, and `body`
    (its `sha256` and `bytes`) is kept where it was unfit.
    """

    action: Action
    call_id: str
    arrived: float
    fields: Mapping[str, Any]
    token: str = field(default="", repr=False)
    body: Mapping[str, Any] | None = None


def new_id(at_us: int) -> str:
    """A UUID of version 7 (RFC 9562), which sorts by its time: epoch microseconds."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (at_us // 1_000 << 80) | (0x7 << 76) | (random >> 66 & 0xFFF) << 64
    digits = f"{value | 0b10 << 62 | random & (1 << 62) - 1:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def opening(event: str, node: str, at_us: int) -> dict[str, Any]:
    """What every record has; `at_us` is epoch microseconds of the node's clock."""
    at = (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")
    return {
        "id": new_id(at_us),
        "at": f"{at[:-6]}Z",
        "at_us": at_us,
        "event": event,
        "node": node,
        "engine": ENGINE,
    }


def event_of(decision: Decision, action: Action) -> str:
    """What kind of record a decision makes."""
    if decision.session is not None and decision.session.replayed:
        return f"{_SUBJECTS[action]}.replay"
    return f"{_SUBJECTS[action]}.{'allow' if decision.verdict.allow else 'deny'}"


def of_decision(decision: Decision, asked: Asked, masks: Masks) -> dict[str, Any]:
    """What the record of a decision has beside its opening; a replay's has no input again."""
    masked, hides = _masked(decision, masks)
    fields: dict[str, Any] = {
        "request": asked.fields,
        "call_id": asked.call_id,
        "decision": "allow" if decision.verdict.allow else "deny",
        "reproducible": False,
        "latency_ms": _latency(decision, asked.arrived),
    }
    fields.update(_who(decision))
    fields.update(why(decision.verdict, hides, decision.bundle))
    if decision.session is not None and decision.session.replayed:
        return fields | {"replayed": decision.session.replayed}
    if masked is not None:
        fields.update(_what(decision, masked))
    fields.update(_unbelieved(decision, asked))
    return fields


def _masked(decision: Decision, masks: Masks) -> tuple[Masked | None, bool]:
    """What may be recorded of the input or the call, and whether reasons may not."""
    if decision.call is None:
        return None, bool(masks.everywhere)
    if decision.claims is None:
        # Whose arguments they are, and what of them is masked, a token says that is believed.
        return masks.apply(_call(decision.call), [f"/{ARGUMENTS}"]), False
    of_role = decision.claims.get("bound", {}).get("log_mask", ())
    masked = masks.apply(decision.facts or _call(decision.call), of_role)
    return masked, bool(masked.pointers)


def _what(decision: Decision, masked: Masked) -> Iterator[tuple[str, Any]]:
    if decision.facts is None:
        yield "call", masked.document
    else:
        yield "input", masked.document
        if skipped := _skipped(decision.facts):
            yield "skipped", skipped
    if masked.pointers:
        yield "masked", masked.pointers
    elif decision.facts is not None and decision.bundle is not None:
        yield "reproducible", True


def _unbelieved(decision: Decision, asked: Asked) -> Iterator[tuple[str, Any]]:
    """Of a request without a call its body, and what a token claims that was not believed."""
    if decision.call is None and asked.body is not None:
        yield "body", asked.body
    if decision.claims is None and asked.token:
        yield "claims_unverified", _unverified(asked.token)


def why(
    verdict: Verdict, hides: bool = False, bundle: BundleRef | None = None
) -> Iterator[tuple[str, Any]]:
    """What a record says of a denial, beside that it is one; `hides`: its reasons are left out."""
    if not verdict.allow:
        origins: Origins = {} if bundle is None else bundle.origins()
        yield "deny_code", verdict.violations[0].code
        yield "violations", [_violation(one, hides, origins) for one in verdict.violations]


def _who(decision: Decision) -> Iterator[tuple[str, Any]]:
    call, claims, bundle = decision.call, decision.claims, decision.bundle
    if call is not None and call.tool_name is not None:
        yield "tool_name", call.tool_name
    if call is not None and call.mcp_server is not None:
        yield "mcp_server", call.mcp_server
    if claims:
        yield "agent", claims["sub"]
        yield "role", role_of(claims)
        yield "session", session_of(claims, decision.kid)
    if bundle is not None:
        yield (
            "bundle",
            {
                "id": bundle.id,
                "version": bundle.version,
                "checksum": bundle.checksum,
                "generation": bundle.generation,
            },
        )


def role_of(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The role of a session; tokens of former programs do not name its revision."""
    role = {"id": claims["role_id"], "name": claims["role"]}
    revision = claims["bound"].get("role_revision")
    return role if revision is None else role | {"revision": revision}


def session_of(claims: Mapping[str, Any], kid: str | None = None) -> dict[str, Any]:
    """A session and its place among those that spawned it."""
    session = {"id": claims["jti"], "jti": claims["jti"], "root": claims["root_session_id"]}
    if claims["parent_session_id"] is not None:
        session["parent"] = claims["parent_session_id"]
    if kid is not None:
        session["kid"] = kid
    return session


def _latency(decision: Decision, arrived: float) -> dict[str, float]:
    stages = decision.stages
    return {
        "total": round((time.monotonic() - arrived) * 1000, 3),
        "token": round(stages.token * 1000, 3),
        "state": round(stages.state * 1000, 3),
        "facts": round(stages.facts * 1000, 3),
        "policy": round(stages.policy * 1000, 3),
    }


def _violation(violation: Violation, hides: bool, origins: Origins) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "code": violation.code,
        "severity": violation.severity,
        "reason": _UNSAID if hides else violation.reason,
        "retry_guidance": violation.retry_guidance,
    }
    if violation.retry_after_seconds is not None:
        fields["retry_after_seconds"] = violation.retry_after_seconds
    if places := origins.get(violation.code):
        fields["rules"] = list(places)
    return fields


def _call(call: Call) -> dict[str, Any]:
    """A call that no policy saw, in the words of the Rego input."""
    return {
        "action": call.action,
        "tool_name": call.tool_name,
        ARGUMENTS: call.call_args,
        "call_id": call.call_id,
        "mcp_server": call.mcp_server,
    }


def _skipped(facts: Mapping[str, Any]) -> list[str]:
    """The fields whose constraints were skipped, since the call has none of that name."""
    return [
        one["field"]
        for one in facts.get("constraints", ())
        if not one["present"] and not one["required"]
    ]


def _unverified(token: str) -> Any:
    """What a token claims that was not believed; only its size where that is large, or no JSON."""
    _, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    try:
        claims = strict_json.loads(base64url.decode(payload[: _UNVERIFIED_BYTES * 2]))
        if len(strict_json.dumps(claims)) <= _UNVERIFIED_BYTES:
            return claims
    except (InputError, ValueError):
        pass
    return {"unreadable_bytes": len(token)}
