"""What happens to bundles, as it is recorded: by whose request, and each event of it."""

from collections.abc import Iterator
from typing import Any, Final

import falcon

from scopebound_engine.api import audit_trail
from scopebound_engine.bundle.registry.registry import Actor, Event
from scopebound_engine.errors import Finding, JournalError

_DETAILS: Final = (
    *("version", "checksum", "key_id", "from_bundle_id", "from_generation", "generation"),
    "reason",
)


def actor(req: falcon.Request) -> Actor:
    """Who changes bundles with a request: all that happens by it is recorded."""
    key = req.context.api_key
    return Actor(key.name, key.id, lambda event: _record(req, event))


def _record(req: falcon.Request, event: Event) -> None:
    """Raises JournalError, but for a refusal, which remains one."""
    concerns = audit_trail.subject("bundle", event.bundle_id or "")
    details = dict(_details(event))
    if event.kind == "bundle.refused":
        try:
            audit_trail.of(req).record(req, event.kind, concerns, details, status=None)
        except JournalError as error:
            audit_trail.log_unrecorded(req, event.kind, error)
    elif event.kind == "bundle.acknowledged":  # before anything is changed
        audit_trail.of(req).record(req, event.kind, concerns, details)
    else:
        audit_trail.audit(req, event.kind, concerns, details)


def _details(event: Event) -> Iterator[tuple[str, Any]]:
    for name in _DETAILS:
        if (value := getattr(event, name)) not in (None, ""):
            yield name, value
    if event.findings:
        yield "findings", [_first_line(finding) for finding in event.findings]


def _first_line(finding: Finding) -> str:
    return str(finding).partition("\n")[0]
