"""Webhooks: what came of one, and those that could not be delivered."""

from typing import Any

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid


@with_config(EXACT)
class WebhookOutcome(TypedDict):
    """`status` is what the receiver answered, `problem` why that is no success."""

    webhook_id: Uuid
    delivered: bool
    status: int | None
    problem: str | None
    milliseconds: float


@with_config(EXACT)
class UndeliveredWebhook(TypedDict):
    """A webhook that was given up. `payload` is its body; the README says what is in it."""

    webhook_id: str
    role_id: Uuid
    attempts: int
    error: str
    given_up_at: Timestamp
    payload: dict[str, Any]


@with_config(EXACT)
class UndeliveredWebhooks(TypedDict):
    """Those given up last; `next` is the `cursor` of the next page, null at the end."""

    count: int
    dead_letters: list[UndeliveredWebhook]
    next: str | None


@with_config(EXACT)
class RetriedWebhook(TypedDict):
    """It waits to be delivered again."""

    webhook_id: str
    role_id: Uuid
    retried: bool
