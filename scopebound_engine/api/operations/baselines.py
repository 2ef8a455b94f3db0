"""Baselines of roles, by which drift is judged."""

from typing import Final

from scopebound_engine.api.baselines import BaselineItem
from scopebound_engine.api.examples import baselines as examples
from scopebound_engine.api.openapi import Answer, Operation
from scopebound_engine.api.operations.roles import ROLE_ID
from scopebound_engine.api.operations.statuses import ASKED, NOT_FOUND, OK
from scopebound_engine.api.schemas import baselines as schemas

OPERATIONS: Final = (
    Operation(
        id="getBaseline",
        method="get",
        path="/mgmt/v1/roles/{role_id}/baseline",
        tag="roles",
        responder=BaselineItem.on_get,
        parameters=(ROLE_ID,),
        answers={
            OK: Answer(
                "The baseline, if there is one.",
                schemas.BaselineAnswer,
                {"ready": examples.READY, "waiting": examples.WAITING},
            )
        },
        problems=(*ASKED, NOT_FOUND),
    ),
)
