"""What the log can be verified by."""

from typing import Final

from scopebound_engine.api.checkpoints import NOTE, Checkpoints
from scopebound_engine.api.examples import checkpoints as examples
from scopebound_engine.api.openapi import Answer, Operation
from scopebound_engine.api.operations.statuses import ASKED, NOT_FOUND, OK
from scopebound_engine.api.schemas import checkpoints as schemas

_NOTE: Final = "For the scope `audit`."

OPERATIONS: Final = (
    Operation(
        id="getCheckpoint",
        method="get",
        path="/mgmt/v1/audit/checkpoint",
        tag="audit",
        responder=Checkpoints.on_get,
        answers={OK: Answer("The signed note.", media_type=NOTE)},
        problems=(*ASKED, NOT_FOUND),
        note=_NOTE,
    ),
    Operation(
        id="listLogKeys",
        method="get",
        path="/mgmt/v1/audit/keys",
        tag="audit",
        responder=Checkpoints.on_get_keys,
        answers={OK: Answer("The keys.", schemas.LogKeyList, {"all": examples.KEYS})},
        problems=ASKED,
        note=_NOTE,
    ),
)
