"""What anyone may know of a node, this description included."""

from http import HTTPStatus
from typing import Any, Final

from scopebound_engine.api.examples import node as examples
from scopebound_engine.api.health import Health, Jwks
from scopebound_engine.api.metrics import TEXT, Metrics
from scopebound_engine.api.openapi import HTML, JSON, Answer, Operation
from scopebound_engine.api.operations.statuses import INTERNAL, OK, UNAVAILABLE
from scopebound_engine.api.published import Published
from scopebound_engine.api.schemas import node as schemas

_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An ETag that was answered before.",
    "schema": {"type": "string"},
}
_ETAG: Final = {"ETag": "Names this text; send it back in If-None-Match."}


def _published(name: str, path: str, media_type: str, kind: Any = None) -> Operation:
    return Operation(
        id=name,
        method="get",
        path=path,
        tag="node",
        responder=Published.on_get,
        parameters=(_IF_NONE_MATCH,),
        answers={
            OK: Answer("The description.", kind, headers=_ETAG, media_type=media_type),
            HTTPStatus.NOT_MODIFIED: Answer(
                "It is the one that If-None-Match names.", headers=_ETAG, media_type=""
            ),
        },
        public=True,
    )


OPERATIONS: Final = (
    Operation(
        id="health",
        method="get",
        path="/healthz",
        tag="node",
        responder=Health.on_get,
        answers={
            OK: Answer("The node can decide.", schemas.NodeHealth, {"ok": examples.HEALTH}),
            UNAVAILABLE: Answer("The node cannot decide.", schemas.NodeHealth),
        },
        problems=(INTERNAL,),
        public=True,
    ),
    Operation(
        id="metrics",
        method="get",
        path="/metrics",
        tag="node",
        responder=Metrics.on_get,
        answers={OK: Answer("The metrics.", media_type=TEXT)},
        problems=(INTERNAL,),
        public=True,
    ),
    Operation(
        id="keySet",
        method="get",
        path="/.well-known/jwks.json",
        tag="node",
        responder=Jwks.on_get,
        answers={OK: Answer("The key set.", schemas.KeySet, {"keys": examples.KEY_SET})},
        problems=(INTERNAL,),
        public=True,
    ),
    _published("openapi", "/openapi.json", JSON, dict[str, Any]),
    _published("docs", "/docs", HTML),
)
