"""The decision log: one record, a search, a file of them, and usage in numbers."""

from typing import Any, Final

from scopebound_engine.api import analytics, decisions, explanations, export
from scopebound_engine.api.examples import decisions as examples
from scopebound_engine.api.examples import explanations as explained
from scopebound_engine.api.openapi import JSON, Answer, Operation
from scopebound_engine.api.operations.parameters import query
from scopebound_engine.api.operations.statuses import ASKED, CONFLICT, NOT_FOUND, OK
from scopebound_engine.api.schemas import decisions as schemas
from scopebound_engine.api.schemas.explanations import ExplanationAnswer
from scopebound_engine.log.export import FORMATS

_NOTE: Final = "For the scope `audit`. Records get here some moments after their answers."


def _hours(default: int, most: int) -> Any:
    meaning = "How many hours before now."
    return query("window_hours", meaning, type="integer", minimum=1, maximum=most, default=default)


def _filters() -> tuple[Any, ...]:
    longest = decisions.LONGEST_FILTER
    return tuple(
        query(name, meaning, type="string", maxLength=longest)
        for name, meaning in decisions.filters().items()
    )


def _id(example: str) -> Any:
    return {
        "name": "decision_id",
        "in": "path",
        "required": True,
        "description": "The record's id.",
        "schema": {"type": "string", "format": "uuid"},
        "example": example,
    }


OPERATIONS: Final = (
    Operation(
        id="usage",
        method="get",
        path="/mgmt/v1/analytics",
        tag="audit",
        responder=analytics.UsageItem.on_get,
        parameters=(_hours(analytics.WINDOW_HOURS, analytics.MOST_HOURS),),
        answers={OK: Answer("The usage.", schemas.UsageAnswer, {"day": examples.USAGE})},
        problems=ASKED,
        note=_NOTE,
    ),
    Operation(
        id="listDecisions",
        method="get",
        path="/mgmt/v1/decisions",
        tag="audit",
        responder=decisions.DecisionCollection.on_get,
        parameters=(
            *_filters(),
            query("since", "From this time on.", type="string", format="date-time"),
            query("until", "Before this time.", type="string", format="date-time"),
            query(
                "limit",
                "At most so many.",
                type="integer",
                minimum=1,
                maximum=decisions.MOST,
                default=decisions.PAGE,
            ),
            query(
                "cursor",
                "What the page before answered as `next`.",
                type="string",
                pattern=decisions.CURSOR,
            ),
        ),
        answers={OK: Answer("The records.", schemas.DecisionPage, {"page": examples.PAGE})},
        problems=ASKED,
        links={
            "getDecision": {
                "operationId": "getDecision",
                "parameters": {"decision_id": "$response.body#/decisions/0/record/id"},
            }
        },
        note=_NOTE,
    ),
    Operation(
        id="getDecision",
        method="get",
        path="/mgmt/v1/decisions/{decision_id}",
        tag="audit",
        responder=decisions.DecisionItem.on_get,
        parameters=(_id(examples.RECORD_ID),),
        answers={OK: Answer("The record.", schemas.DecisionLine, {"denial": examples.DECISION})},
        problems=(*ASKED, NOT_FOUND),
        note=_NOTE,
    ),
    Operation(
        id="explainDecision",
        method="get",
        path="/mgmt/v1/decisions/{decision_id}/explain",
        tag="audit",
        responder=explanations.DecisionExplanation.on_get,
        parameters=(_id(explained.EXPLAINED_ID),),
        answers={
            OK: Answer("The explanation.", ExplanationAnswer, {"denial": explained.EXPLANATION})
        },
        problems=(*ASKED, NOT_FOUND, CONFLICT),
        note=f"{_NOTE} A record that does not suffice to decide again is a conflict, whose `cause` "
        'is "no decision", "replay", "engine", "masked" or "bundle".',
    ),
    Operation(
        id="exportDecisions",
        method="get",
        path="/mgmt/v1/audit/export",
        tag="audit",
        responder=export.Export.on_get,
        parameters=(
            query("format", "Of the file.", type="string", enum=list(FORMATS), default="json"),
            _hours(export.WINDOW_HOURS, export.MOST_HOURS),
        ),
        answers={
            OK: Answer(
                "The file.",
                list[schemas.DecisionLine],
                headers={"Content-Disposition": "A name for the file."},
                others=tuple(kind for kind, _ in FORMATS.values() if kind != JSON),
            )
        },
        problems=ASKED,
        note=_NOTE,
    ),
)
