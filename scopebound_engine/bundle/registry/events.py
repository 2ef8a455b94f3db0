"""What happened to bundles and by whom: a table that is only ever added to.

But for refusals: whoever may upload can be refused many times a second, so these are kept short and
the eldest of each actor go.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select

from scopebound_engine.database.schema import bundle_events
from scopebound_engine.errors import Finding

EventKind = Literal[
    "bundle.uploaded",
    "bundle.activated",
    "bundle.rolled_back",
    "bundle.refused",
    "bundle.deleted",
    "bundle.pruned",
    "bundle.acknowledged",
]

# Refusals that are kept of one actor, what is kept of each, and how long its texts may be.
MOST_REFUSALS: Final = 1_000
MOST_FINDINGS: Final = 20
LONGEST_TEXT: Final = 1_000

# Fields of an event by name, as far as they are known.
About = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, or was refused. Later events have greater ids.

    `bundle_id`, `version`, `checksum` and `key_id` (of the key that signed it) are of the bundle it
    is about, as far as they were known; `from_…` is what was in force before. `generation` is that
    which an activation began.
    """

    id: int
    at: datetime
    kind: EventKind
    actor: str
    api_key_id: str | None
    key_id: str | None
    bundle_id: str | None
    from_bundle_id: str | None
    from_generation: int | None
    generation: int | None
    version: str | None
    checksum: str | None
    reason: str
    findings: tuple[Finding, ...]


def _look_away(_event: Event) -> None:
    """Is told of events, and does nothing."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something to a bundle; without an API key it is the engine or its operator.

    `witness` is told of each event that the actor brings about, once it is in the database. What it
    raises ends what the actor does, and does not undo what was done.
    """

    name: str
    api_key_id: str | None = None
    witness: Callable[[Event], None] = field(default=_look_away, repr=False, compare=False)


def add(
    connection: Connection,
    kind: EventKind,
    actor: Actor,
    at: datetime,
    about: About,
    findings: Sequence[Finding] = (),
) -> Event:
    """Record an event; what `about` leaves out is none."""
    row = {
        "reason": "",
        **about,
        "at": at,
        "kind": kind,
        "actor": actor.name,
        "api_key_id": actor.api_key_id,
        "findings": to_json(findings),
    }
    added = insert(bundle_events).values(row).returning(bundle_events)
    return _event(connection.execute(added).one())


def add_refusal(
    connection: Connection,
    actor: Actor,
    at: datetime,
    about: About,
    findings: Sequence[Finding] = (),
    most: int = MOST_REFUSALS,
) -> Event:
    """Record that a bundle was refused, and forget the actor's refusals before the last `most`.

    Of many findings the first are recorded, and their number in the reason.
    """
    reason = brief(str(about.get("reason") or ""))
    if len(findings) > MOST_FINDINGS:
        reason += f" ({MOST_FINDINGS} of {len(findings)} findings are recorded)"
    kept = [_brief_finding(finding) for finding in findings[:MOST_FINDINGS]]
    event = add(connection, "bundle.refused", actor, at, {**about, "reason": reason}, kept)
    _forget_refusals(connection, actor, most)
    return event


def brief(text: str) -> str:
    """The text, or its beginning."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def latest(
    connection: Connection, limit: int, before: int | None, bundle_id: str | None
) -> list[Event]:
    """So many events, newest first: those with an id below `before`, those of one bundle."""
    query = select(bundle_events).order_by(bundle_events.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(bundle_events.c.id < before)
    if bundle_id is not None:
        query = query.where(bundle_events.c.bundle_id == bundle_id.lower())
    return [_event(row) for row in connection.execute(query)]


def last_id(connection: Connection) -> int:
    """The id of the last event; 0 before the first."""
    return connection.execute(select(func.max(bundle_events.c.id))).scalar_one() or 0


def after(connection: Connection, event_id: int) -> list[Event]:
    """The events since, in their order."""
    query = select(bundle_events).where(bundle_events.c.id > event_id).order_by(bundle_events.c.id)
    return [_event(row) for row in connection.execute(query)]


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as they are stored."""
    return [asdict(finding) for finding in findings]


def from_json(stored: Sequence[dict[str, Any]]) -> tuple[Finding, ...]:
    """Findings that were stored."""
    return tuple(Finding(**fields) for fields in stored)


def _brief_finding(finding: Finding) -> Finding:
    return replace(
        finding,
        message=brief(finding.message),
        file=brief(finding.file),
        remedy=brief(finding.remedy),
    )


def _forget_refusals(connection: Connection, actor: Actor, most: int) -> None:
    theirs = (
        (bundle_events.c.kind == "bundle.refused")
        & (bundle_events.c.actor == actor.name)
        & (bundle_events.c.api_key_id == actor.api_key_id)
    )
    newest = select(bundle_events.c.id).where(theirs).order_by(bundle_events.c.id.desc())
    last = connection.execute(newest.offset(most).limit(1)).scalar_one_or_none()
    if last is not None:
        connection.execute(delete(bundle_events).where(theirs, bundle_events.c.id <= last))


def _event(row: Row[Any]) -> Event:
    fields = row._asdict()
    return Event(**{**fields, "findings": from_json(fields["findings"])})
