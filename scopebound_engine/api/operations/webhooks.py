"""Whether webhooks arrive."""

from typing import Final

from scopebound_engine.api.examples import webhooks as examples
from scopebound_engine.api.openapi import Answer, Operation
from scopebound_engine.api.operations.parameters import query
from scopebound_engine.api.operations.roles import ROLE_ID
from scopebound_engine.api.operations.statuses import ASKED, CONFLICT, NOT_FOUND, OK
from scopebound_engine.api.schemas import webhooks as schemas
from scopebound_engine.api.webhooks import (
    MOST,
    PAGE,
    DeadLetterCollection,
    DeadLetterItem,
    WebhookTest,
)

_WEBHOOK_ID: Final = {
    "name": "webhook_id",
    "in": "path",
    "required": True,
    "description": "The webhook's id, as its header `webhook-id` has it.",
    "schema": {"type": "string"},
    "example": examples.WEBHOOK_ID,
}
_PAGE: Final = (
    query("limit", "How many at most.", type="integer", minimum=1, maximum=MOST, default=PAGE),
    query(
        "cursor",
        "Where the page begins: `next` of the one before.",
        type="integer",
        minimum=1,
        maximum=(1 << 63) - 1,
    ),
)

OPERATIONS: Final = (
    Operation(
        id="testWebhook",
        method="post",
        path="/mgmt/v1/roles/{role_id}/webhook-test",
        tag="webhooks",
        responder=WebhookTest.on_post,
        parameters=(ROLE_ID,),
        answers={
            OK: Answer(
                "It was sent, or it is said why not.",
                schemas.WebhookOutcome,
                {"delivered": examples.DELIVERED, "failed": examples.FAILED},
            )
        },
        problems=(*ASKED, NOT_FOUND, CONFLICT),
    ),
    Operation(
        id="listDeadLetters",
        method="get",
        path="/mgmt/v1/webhooks/dead-letters",
        tag="webhooks",
        responder=DeadLetterCollection.on_get,
        parameters=_PAGE,
        answers={
            OK: Answer("A page.", schemas.UndeliveredWebhooks, {"page": examples.DEAD_LETTERS})
        },
        problems=ASKED,
        note="For the scopes `roles` and `audit`.",
    ),
    Operation(
        id="retryDeadLetter",
        method="post",
        path="/mgmt/v1/webhooks/dead-letters/{webhook_id}/retry",
        tag="webhooks",
        responder=DeadLetterItem.on_post_retry,
        parameters=(_WEBHOOK_ID,),
        answers={OK: Answer("It waits.", schemas.RetriedWebhook, {"retried": examples.RETRIED})},
        problems=(*ASKED, NOT_FOUND),
    ),
)
