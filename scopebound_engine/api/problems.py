"""Errors as answers: RFC 9457 problems everywhere, decisions on the two enforce endpoints.

The one place where an exception becomes a response. A client that fails open takes every non-2xx
answer of an enforce endpoint for an allow, so there an exception is a POLICY_ERROR denial, but for
the mistakes of the integrator's own program (no JWT at all, no or a wrong API key).
"""

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

import falcon
import structlog

from scopebound_engine import strict_json
from scopebound_engine.api import audit_trail
from scopebound_engine.api.answers import answer_decision, decision_fields
from scopebound_engine.api.recording import ENFORCE, MCP_ENFORCE, Recording
from scopebound_engine.decision.pdp import Decision, undecided
from scopebound_engine.errors import (
    ActivationError,
    AuthenticationError,
    BundleError,
    BusyError,
    CompileError,
    ConfigError,
    ConflictError,
    DatabaseUnavailableError,
    EvaluationError,
    Finding,
    FindingsError,
    ForbiddenError,
    InputError,
    IrreproducibleError,
    JournalError,
    LateBodyError,
    MissingTokenError,
    NotFoundError,
    ScopeboundError,
    SigningKeyError,
    StateUnavailableError,
    TooLargeError,
    TooManyAttemptsError,
    TooOftenError,
    UnrecordedChangeError,
)

MEDIA_TYPE: Final = "application/problem+json"
URN: Final = "urn:scopebound:problem:"
ENFORCE_PATHS: Final = frozenset({ENFORCE, MCP_ENFORCE})
_INTEGRATOR_ERRORS = (
    AuthenticationError,
    ForbiddenError,
    MissingTokenError,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kind:
    """What problems of one sort have in common."""

    status: HTTPStatus
    type: str
    title: str


_KINDS: tuple[tuple[type[ScopeboundError], Kind], ...] = (
    (TooLargeError, Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "Too large")),
    (LateBodyError, Kind(HTTPStatus.REQUEST_TIMEOUT, "late-body", "The body came too slowly")),
    (InputError, Kind(HTTPStatus.BAD_REQUEST, "invalid-request", "The request is unfit")),
    (
        TooManyAttemptsError,
        Kind(HTTPStatus.TOO_MANY_REQUESTS, "too-many-attempts", "Too many wrong API keys"),
    ),
    (TooOftenError, Kind(HTTPStatus.TOO_MANY_REQUESTS, "too-often", "Too many requests")),
    (AuthenticationError, Kind(HTTPStatus.UNAUTHORIZED, "unauthenticated", "No valid API key")),
    (ForbiddenError, Kind(HTTPStatus.FORBIDDEN, "forbidden", "The API key may not do this")),
    (NotFoundError, Kind(HTTPStatus.NOT_FOUND, "not-found", "No such thing")),
    (ConflictError, Kind(HTTPStatus.CONFLICT, "conflict", "In conflict with what is there")),
    (IrreproducibleError, Kind(HTTPStatus.CONFLICT, "not-reproducible", "Cannot be decided again")),
    (BundleError, Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "bundle-refused", "Bundle refused")),
    (CompileError, Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "bundle-refused", "Bundle refused")),
    (DatabaseUnavailableError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Unavailable")),
    (
        UnrecordedChangeError,
        Kind(HTTPStatus.SERVICE_UNAVAILABLE, "done-unrecorded", "Done, but not recorded"),
    ),
    (JournalError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unrecorded", "Cannot be recorded")),
    (SigningKeyError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Unavailable")),
    (StateUnavailableError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Unavailable")),
    (EvaluationError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "undecided", "No policy could decide")),
    (BusyError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Others are under way")),
    (
        ActivationError,
        Kind(HTTPStatus.SERVICE_UNAVAILABLE, "not-activated", "A worker cannot run the bundle"),
    ),
    (ConfigError, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "misconfigured", "A setting is wrong")),
)
_REFUSED = Kind(HTTPStatus.FORBIDDEN, "delegation-refused", "The policy refuses the delegation")
_INTERNAL = Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Internal error")


def install(app: falcon.App[Any, Any]) -> None:
    """Let this module answer every exception of the app."""
    app.add_error_handler(Exception, _handle)
    app.add_error_handler(falcon.HTTPError, _handle_http)


def answer_refusal(req: falcon.Request, resp: falcon.Response, denial: Decision) -> None:
    """Answer 403 with a problem that carries the fields of the denial. Raises JournalError."""
    recording: Recording = req.context.recording
    record_id = recording.of_delegation(req, denial, _REFUSED.status)
    reason = denial.verdict.violations[0].reason
    _problem(req, resp, _REFUSED, reason, **decision_fields(req, denial, record_id))


def kind_of(status: HTTPStatus) -> Kind:
    """The kind of problem that is answered with this status."""
    return next((kind for _, kind in _KINDS if kind.status == status), _INTERNAL)


def _handle(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]
) -> None:
    if req.path in ENFORCE_PATHS and not isinstance(error, _INTEGRATOR_ERRORS):
        # What is known to go wrong is one sentence: a database that is away would fill the log.
        if isinstance(error, ScopeboundError):
            log.error("enforce failed", reason=str(error))
        else:
            log.error("enforce failed", exc_info=error)
        answer_decision(req, resp, undecided(error))
        return
    kind = next((kind for family, kind in _KINDS if isinstance(error, family)), _INTERNAL)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error)
    if isinstance(error, TooManyAttemptsError | TooOftenError | BusyError):
        resp.set_header("Retry-After", str(error.retry_after_seconds))
    detail = _detail(error) if kind is not _INTERNAL else _internal_detail()
    _problem(req, resp, kind, detail, **_extra(error))
    if not isinstance(error, JournalError):
        audit_trail.of(req).refused(req, kind.status, kind.type, detail)


def _handle_http(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: dict[str, Any]
) -> None:
    status = HTTPStatus(error.status_code)
    kind = Kind(status, status.phrase.lower().replace(" ", "-"), status.phrase)
    if error.headers:
        resp.set_headers(error.headers)
    detail = error.description or _http_detail(req, status)
    _problem(req, resp, kind, detail)
    audit_trail.of(req).refused(req, status, kind.type, detail)


def _problem(
    req: falcon.Request, resp: falcon.Response, kind: Kind, detail: str, **extra: Any
) -> None:
    resp.status = kind.status
    resp.content_type = MEDIA_TYPE
    resp.data = strict_json.dumps(
        {
            "type": f"{URN}{kind.type}",
            "title": kind.title,
            "status": kind.status.value,
            "detail": detail,
            "instance": req.context.request_id,
            **extra,
        }
    )


def _detail(error: Exception) -> str:
    """One sentence: of several findings the first, the others are listed beside it."""
    if not isinstance(error, FindingsError) or not error.findings:
        return str(error)
    first, *others = error.findings
    more = f"; and {len(others)} more" if others else ""
    return f"{error.summary}: {first}{more}"


def _extra(error: Exception) -> dict[str, Any]:
    if isinstance(error, InputError) and error.field:
        return {"field": error.field}
    if isinstance(error, IrreproducibleError):
        return {"cause": error.cause}
    if isinstance(error, FindingsError | ConflictError) and error.findings:
        return {"findings": [finding_answer(finding) for finding in error.findings]}
    return {}


def finding_answer(finding: Finding) -> dict[str, Any]:
    """A finding as it is answered, here and among the warnings about a bundle."""
    return asdict(finding)


def _internal_detail() -> str:
    return "the service failed; its log has the details under this request id"


def _http_detail(req: falcon.Request, status: HTTPStatus) -> str:
    if status is HTTPStatus.NOT_FOUND:
        return f"there is nothing at {req.path}; GET /docs lists the endpoints"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{req.method} is not allowed at {req.path}; see the Allow header"
    return status.phrase
