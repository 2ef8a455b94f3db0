"""/mgmt/v1/bundles: upload, list, read, activate, roll back and remove policy bundles.

Whoever may upload or roll back may read, and so may the scope `audit`. What a bundle is refused for
is answered whole, as findings; what is answered after a change says which workers run it.
"""

import time
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

import falcon
from pydantic import BaseModel, ConfigDict, Field

from scopebound_engine import strict_json
from scopebound_engine.access.model import ADMIN, AUDIT, BUNDLES, ROLLBACK
from scopebound_engine.api import body, bundle_answers, bundle_trail, queries
from scopebound_engine.api.answers import answer_json, answer_tagged
from scopebound_engine.api.auth import require
from scopebound_engine.api.seats import Seats
from scopebound_engine.author.backtesting.server import MOST_HOURS, WINDOW_HOURS, Backtests
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.lifecycle import Bundles, Demand, nothing
from scopebound_engine.bundle.registry.registry import Actor
from scopebound_engine.errors import InputError, NotFoundError
from scopebound_engine.parsing import parse
from scopebound_engine.role.values import is_uuid

GZIP: Final = "application/gzip"
# What is packed is hardly larger than what it holds, of which the archive has a limit.
MOST_BYTES: Final = archive.LIMITS.inflated_bytes
UPLOAD_SECONDS: Final = 30.0
LONGEST_TEXT: Final = 500
# The word that makes an upload depend on a backtest, and how long its report's digest is.
REQUIRED: Final = "required"
DIGEST_DIGITS: Final = 64
MOST_EVENTS: Final = 1000
_EVENTS: Final = 100
LAST_EVENT: Final = (1 << 63) - 1
_READING: Final = (BUNDLES, ROLLBACK, AUDIT)
# Of what costs a reader nothing and this process up to seconds of its one interpreter.
_LONG_READS: Final = 2
_RETRY_SECONDS: Final = 1


class Why(BaseModel):
    """The body of a rollback: the reason, for those who read what happened."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    reason: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the query of an upload says."""

    description: str
    activate: bool
    dry_run: bool
    acknowledge_floor: bool
    backtest: str
    backtest_window_hours: int
    acknowledge_backtest: str

    @classmethod
    def of(cls, req: falcon.Request) -> "_Wish":
        """Raises InputError, ForbiddenError."""
        queries.only(req, {field.name for field in fields(cls)})
        wish = cls(
            description=queries.text(req, "description", LONGEST_TEXT),
            activate=queries.flag(req, "activate", True),
            dry_run=queries.flag(req, "dry_run", False),
            acknowledge_floor=queries.flag(req, "acknowledge_floor", False),
            backtest=queries.text(req, "backtest", len(REQUIRED)),
            backtest_window_hours=queries.number(
                req, "backtest_window_hours", WINDOW_HOURS, MOST_HOURS
            ),
            acknowledge_backtest=queries.text(req, "acknowledge_backtest", DIGEST_DIGITS),
        )
        if wish.backtest not in ("", REQUIRED):
            raise InputError("backtest", f"must be {REQUIRED}, or left out")
        if wish.acknowledge_backtest and not wish.backtest:
            raise InputError("acknowledge_backtest", f"is for an upload with backtest={REQUIRED}")
        if wish.acknowledge_floor:
            require(req, ADMIN)
        return wish


def _long_reads() -> Seats:
    return Seats(_LONG_READS, _RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class BundleCollection:
    """All versions that are kept, and what happened to any."""

    bundles: Bundles
    seats: Seats
    receiving_seats: Seats
    backtests: Backtests
    reading_seats: Seats = field(default_factory=_long_reads)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The versions that are kept, newest upload first; at most ten."""
        require(req, *_READING)
        queries.only(req)
        found = [bundle_answers.version(version) for version in self.bundles.versions()]
        answer_json(resp, {"count": len(found), "versions": found})

    def on_get_events(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What happened to bundles, refusals too, newest first."""
        require(req, *_READING)
        queries.only(req, {"limit", "before"})
        limit = queries.number(req, "limit", _EVENTS, MOST_EVENTS)
        before = queries.number(req, "before", LAST_EVENT, LAST_EVENT)
        with self.reading_seats.take():
            events = self.bundles.events(limit=limit, before=before)
            found = [bundle_answers.event(event) for event in events]
            answer_json(resp, {"count": len(found), "events": found})

    def on_post_upload(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check a bundle, store it and put it in force on every worker, or change nothing.

        The same bytes may be sent again by whoever lost the answer.
        """
        # Answered before the body is read, a refusal would be lost in a reset connection.
        req.context.body_unread = True
        require(req, BUNDLES)
        wish = _Wish.of(req)
        # A body that dawdles holds no seat of those that wait for the gate.
        with self.receiving_seats.take():
            deadline = time.monotonic() + UPLOAD_SECONDS
            data = body.read(req, MOST_BYTES, deadline, to_the_end=False)
        req.context.body_unread = False
        with self.seats.take():
            actor = bundle_trail.actor(req)
            answer_json(
                resp, self._tried(data, wish) if wish.dry_run else self._done(data, wish, actor)
            )

    def _tried(self, data: bytes, wish: "_Wish") -> dict[str, Any]:
        return bundle_answers.trial(
            self.bundles.try_out(
                data,
                activate=wish.activate,
                acknowledge_floor=wish.acknowledge_floor,
                demand=self._demand(wish),
            )
        )

    def _done(self, data: bytes, wish: "_Wish", actor: Actor) -> dict[str, Any]:
        return bundle_answers.upload(
            self.bundles.upload(
                data,
                description=wish.description,
                actor=actor,
                activate=wish.activate,
                acknowledge_floor=wish.acknowledge_floor,
                demand=self._demand(wish),
            )
        )

    def _demand(self, wish: "_Wish") -> Demand:
        if not wish.backtest:
            return nothing
        hours, acknowledged = wish.backtest_window_hours, wish.acknowledge_backtest
        return lambda data: self.backtests.require(data, hours, acknowledged)


@dataclass(frozen=True, slots=True)
class BundleItem:
    """One version, by its id. Rollbacks have seats of their own: no upload keeps them waiting."""

    bundles: Bundles
    seats: Seats
    rollback_seats: Seats
    reading_seats: Seats = field(default_factory=_long_reads)

    def on_get(self, req: falcon.Request, resp: falcon.Response, bundle_id: str) -> None:
        """The version: its manifest, its files, its warnings, and what happened to it."""
        require(req, *_READING)
        queries.only(req)
        with self.reading_seats.take():
            version, data = self.bundles.load(uuid_of(bundle_id))
            events = self.bundles.events(limit=_EVENTS, bundle_id=version.id)
            answer_json(resp, bundle_answers.details(version, archive.read(data), events))

    def on_get_download(self, req: falcon.Request, resp: falcon.Response, bundle_id: str) -> None:
        """The bytes, exactly as they were uploaded."""
        require(req, *_READING)
        queries.only(req)
        version, data = self.bundles.load(uuid_of(bundle_id))
        name = PurePosixPath(version.bundle_path).name
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        answer_tagged(req, resp, data, GZIP, version.checksum, headers)

    def on_get_diff(
        self, req: falcon.Request, resp: falcon.Response, bundle_id: str, other_id: str
    ) -> None:
        """What changes from this version to the other: rules, codes and data, not their layout."""
        require(req, *_READING)
        queries.only(req)
        with self.reading_seats.take():
            found = self.bundles.compare(uuid_of(bundle_id), uuid_of(other_id))
            answer_json(resp, bundle_answers.diff(*found))

    def on_post_activate(self, req: falcon.Request, resp: falcon.Response, bundle_id: str) -> None:
        """Put a version in force that was stored and never activated."""
        require(req, BUNDLES)
        queries.only(req)
        with self.seats.take():
            outcome = self.bundles.activate(uuid_of(bundle_id), actor=bundle_trail.actor(req))
        answer_json(resp, bundle_answers.upload(outcome))

    def on_post_rollback(self, req: falcon.Request, resp: falcon.Response, bundle_id: str) -> None:
        """Put a version in force again that was before; it is verified like an upload."""
        require(req, ROLLBACK)
        actor, reason = bundle_trail.actor(req), _reason(req)
        with self.rollback_seats.take():
            outcome = self.bundles.rollback(uuid_of(bundle_id), actor=actor, reason=reason)
        answer_json(resp, bundle_answers.rollback(outcome))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, bundle_id: str) -> None:
        """Remove a version and its bytes; not the one in force.

        Who may not roll back may not take the way back either.
        """
        key = require(req, BUNDLES)
        queries.only(req)
        actor, may_take_way_back = bundle_trail.actor(req), key.may(ROLLBACK)
        version = self.bundles.remove(
            uuid_of(bundle_id), actor=actor, may_take_way_back=may_take_way_back
        )
        answer_json(resp, {"deleted": True, "id": version.id, "version": version.version})


def uuid_of(bundle_id: str) -> str:
    """A version's id in an address. Raises NotFoundError."""
    if not is_uuid(bundle_id):
        raise NotFoundError(
            "a bundle's address holds its id; GET /mgmt/v1/bundles shows those of all"
        )
    return bundle_id.lower()


def _reason(req: falcon.Request) -> str:
    """Why, as the query or the optional body says."""
    queries.only(req, {"reason"})
    asked = queries.text(req, "reason", LONGEST_TEXT)
    data = body.read(req, body.MANAGEMENT_BODY_BYTES, time.monotonic() + body.MANAGEMENT_SECONDS)
    sent: Any = strict_json.loads(data) if data else {}
    told = queries.printable("reason", parse(Why, sent).reason, LONGEST_TEXT)
    if asked and told:
        raise InputError("reason", "is in the query and in the body; give it once")
    return asked or told
