"""What the decision log is told of changes and refusals: who did or tried what, from where.

A change is made only where its record can be written (`require` in auth.py asks), and its record is
written before it is answered. What cannot be recorded all the same is told as such.
"""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import falcon
import structlog

from scopebound_engine.access.attempts import WrongKeys
from scopebound_engine.api import body
from scopebound_engine.api.recording import (
    ENFORCE,
    MCP_ENFORCE,
    actor_of,
    request_fields,
    without_secrets,
)
from scopebound_engine.errors import JournalError, TooManyAttemptsError, UnrecordedChangeError
from scopebound_engine.log.recorder import Recorder

PROVISION: Final = "/v1/provision"
_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_LONGEST_TEXT: Final = 500

log = structlog.get_logger()


class Trail:
    """Writes what is not a decision into the decision log. Safe for use by many threads."""

    def __init__(self, recorder: Recorder, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._recorder = recorder
        # Whoever has no key could fill the disk: of an address so many refusals are recorded.
        self._strangers = WrongKeys(monotonic, _tell_unrecorded)

    def require_writable(self) -> None:
        """Raises JournalError when a record could not be written now."""
        self._recorder.check()

    def record(
        self,
        req: falcon.Request,
        event: str,
        subject: Mapping[str, Any],
        details: Mapping[str, Any],
        status: HTTPStatus | None = HTTPStatus.OK,
        **fields: Any,
    ) -> None:
        """Record what the caller is about to get. Raises JournalError: then it must not get it.

        `subject` is what it concerns (its `type`, `id` and `name`), `status` that of the answer if
        it is known; `fields` are further keys of the record.
        """
        asked = request_fields(req, status or HTTPStatus.OK)
        if status is None:
            del asked["status"]
        self._recorder.event(
            event,
            request=asked,
            actor=actor_of(req),
            subject=subject,
            details=details,
            **fields,
        )

    def refused(self, req: falcon.Request, status: HTTPStatus, problem: str, detail: str) -> None:
        """Record that a request was refused, where such refusals are recorded.

        Never raises: a refusal that cannot be recorded remains one.
        """
        is_known = getattr(req.context, "api_key", None) is not None
        if not _counts(req, status) or not (is_known or self._bears(req.remote_addr)):
            return
        asked = request_fields(req, status)
        fields: dict[str, Any] = {
            "request": asked | {"path": without_secrets(asked["path"], _LONGEST_TEXT)},
            "details": {"problem": problem, "detail": without_secrets(detail, _LONGEST_TEXT)},
        }
        if is_known:
            fields["actor"] = actor_of(req)
        if (digest := body.digest(req)) is not None:
            fields["body"] = digest
        try:
            self._recorder.event("request.refused", **fields)
        except JournalError as error:
            log_unrecorded(req, "request.refused", error)

    def _bears(self, stranger: str) -> bool:
        try:
            self._strangers.count(stranger)
        except TooManyAttemptsError:
            return False
        return True


def of(req: falcon.Request) -> Trail:
    """The trail that a request's changes are recorded in."""
    trail: Trail = req.context.trail
    return trail


def changes_something(req: falcon.Request) -> bool:
    """Whether a request may change what others find, if it is admitted.

    A question at an enforce endpoint does not: it is recorded with its answer.
    """
    return req.method not in _HARMLESS and req.path not in {ENFORCE, MCP_ENFORCE}


def audit(
    req: falcon.Request,
    event: str,
    subject: Mapping[str, Any],
    details: Mapping[str, Any],
    status: HTTPStatus = HTTPStatus.OK,
    **fields: Any,
) -> None:
    """Record what was changed, as `Trail.record` does. Raises UnrecordedChangeError."""
    try:
        of(req).record(req, event, subject, details, status, **fields)
    except JournalError as error:
        log_unrecorded(req, event, error)
        raise UnrecordedChangeError(
            f"{event} of {subject['type']} {subject.get('id', '')} took effect, but it could not "
            f"be recorded: {error}; look at what is there before another try"
        ) from error


def subject(type_: str, id_: str, name: str | None = None) -> dict[str, str]:
    """What an event concerns."""
    named = {"type": type_, "id": id_}
    return named if name is None else named | {"name": name}


def log_unrecorded(req: falcon.Request, event: str, error: JournalError) -> None:
    """Tell the operator of what happened and stands in no decision log."""
    log.critical(
        "not recorded", event_type=event, request_id=req.context.request_id, reason=str(error)
    )


def _counts(req: falcon.Request, status: HTTPStatus) -> bool:
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        return False
    return status in _REFUSED or req.path == PROVISION


def _tell_unrecorded(address: str) -> None:
    log.warning("refusals without an API key are no longer recorded", address=address)
