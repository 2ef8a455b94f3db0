"""Webhooks as operators see them: whether one arrives, and which could not be delivered."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import falcon

from scopebound_engine.access.model import AUDIT, ROLES
from scopebound_engine.api import queries, role_trail
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.audit_trail import audit, subject
from scopebound_engine.api.auth import require
from scopebound_engine.api.roles import role_uuid
from scopebound_engine.api.seats import Seats
from scopebound_engine.errors import ConflictError
from scopebound_engine.role.store import RoleStore
from scopebound_engine.times import moment, timestamp
from scopebound_engine.webhook.delivery import post
from scopebound_engine.webhook.denials import trial
from scopebound_engine.webhook.parts import Webhooks
from scopebound_engine.webhook.queue import DeadLetter

PAGE: Final = 100
MOST: Final = 1_000
_LARGEST_NUMBER: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class WebhookTest:
    """The receiver of one role."""

    roles: RoleStore
    webhooks: Webhooks
    seats: Seats
    clock: Callable[[], float] = time.time

    def on_post(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Send a webhook to the role's receiver now, once, and say what came of it.

        It is signed and sent like any other; its `event` is `test`.
        """
        require(req, ROLES)
        queries.only(req)
        role, now = self.roles.get(role_uuid(role_id)), self.clock()
        with self.seats.take():
            message_id, body = str(uuid.uuid4()), trial(role.id, role.name, moment(now))
            outcome = post(self.webhooks.poster, role, message_id, body, now)
        if outcome is None:
            raise ConflictError(f"the role {role.name!r} has no webhook_url; set one with PUT")
        answer = {
            "webhook_id": message_id,
            "delivered": not outcome.problem,
            "status": outcome.status,
            "problem": outcome.problem or None,
            "milliseconds": outcome.milliseconds,
        }
        audit(req, "role.webhook_tested", **role_trail.about(role), details=answer)
        answer_json(resp, answer)


@dataclass(frozen=True, slots=True)
class DeadLetterCollection:
    """Webhooks that could not be delivered."""

    webhooks: Webhooks

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Webhooks that could not be delivered, the newest first, each with its last error.

        `next` is the cursor of the next page.
        """
        require(req, ROLES, AUDIT)
        queries.only(req, {"limit", "cursor"})
        limit = queries.number(req, "limit", PAGE, MOST)
        before = queries.number(req, "cursor", _LARGEST_NUMBER, _LARGEST_NUMBER)
        found = self.webhooks.queue.dead_letters(limit + 1, before)
        page = found[:limit]
        following = str(page[-1].number) if len(found) > limit else None
        letters = list(map(_letter, page))
        answer_json(resp, {"count": len(page), "dead_letters": letters, "next": following})


@dataclass(frozen=True, slots=True)
class DeadLetterItem:
    """One of these."""

    webhooks: Webhooks

    def on_post_retry(self, req: falcon.Request, resp: falcon.Response, webhook_id: str) -> None:
        """Deliver it again, to the receiver that its role has now, as often as a new one."""
        require(req, ROLES)
        queries.only(req)
        role_id = self.webhooks.queue.retry(webhook_id)
        concerned = subject("webhook", webhook_id)
        audit(req, "webhook.retried", concerned, {"role_id": role_id})
        answer_json(resp, {"webhook_id": webhook_id, "role_id": role_id, "retried": True})


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "webhook_id": letter.id,
        "role_id": letter.role_id,
        "attempts": letter.attempts,
        "error": letter.error,
        "given_up_at": timestamp(moment(letter.dead_us / 1_000_000)),
        "payload": json.loads(letter.payload),
    }
