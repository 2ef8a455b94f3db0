"""Decisions and documents as HTTP answers."""

import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import falcon

from scopebound_engine import strict_json
from scopebound_engine.api import ratelimits
from scopebound_engine.api.recording import Recording
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.verdict import Violation


def answer_json(
    resp: falcon.Response, document: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> None:
    """Answer with a JSON document."""
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = strict_json.encode(document)


def answer_tagged(
    req: falcon.Request,
    resp: falcon.Response,
    data: bytes,
    media_type: str,
    tag: str,
    headers: Mapping[str, str],
) -> None:
    """Answer with bytes that the ETag names; with 304 and none, where the caller has them."""
    etag = falcon.ETag(tag)
    resp.etag = etag
    resp.cache_control = ["no-cache"]
    known = req.if_none_match or []
    if "*" in known or any(etag == given for given in known):
        resp.status = falcon.HTTP_304
        return
    resp.set_headers(dict(headers))
    resp.content_type = media_type
    resp.data = data


def answer_decision(req: falcon.Request, resp: falcon.Response, decision: Decision) -> None:
    """Answer 200 with a decision in the reference's fields and those of the contract.

    It is in the decision log by then, or it is a denial for want of that.
    """
    req.context.call_id = req.context.call_id or str(uuid.uuid4())
    recording: Recording = req.context.recording
    decision, record_id = recording.of_call(req, decision)
    if decision.entry is not None and decision.session is not None:
        resp.set_headers(ratelimits.fields(decision.entry, decision.session))
    answer_json(resp, decision_fields(req, decision, record_id))


def decision_fields(req: falcon.Request, decision: Decision, record_id: str) -> dict[str, Any]:
    """A decision as it is answered, also within a problem; no record, no `decision_id`."""
    verdict, bundle = decision.verdict, decision.bundle
    document: dict[str, Any] = {
        "decision": "allow" if verdict.allow else "deny",
        "call_id": req.context.call_id,
        "latency_ms": round((time.monotonic() - req.context.arrived) * 1000, 3),
    }
    if record_id:
        document["decision_id"] = record_id
    if not verdict.allow:
        primary = _violation(verdict.violations[0])
        primary["deny_code"] = primary.pop("code")
        document |= primary
        document["violations"] = [_violation(violation) for violation in verdict.violations]
    if decision.session is not None and decision.session.replayed:
        document["replayed"] = True
    if bundle is not None:
        document["bundle_id"] = bundle.id
        document["bundle_version"] = bundle.version
        document["bundle_checksum"] = bundle.checksum
        document["bundle_generation"] = bundle.generation
    return document


def _violation(violation: Violation) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "code": violation.code,
        "severity": violation.severity,
        "reason": violation.reason,
        "retry_guidance": violation.retry_guidance,
    }
    if violation.retry_after_seconds is not None:
        fields["retry_after_seconds"] = violation.retry_after_seconds
    return fields
