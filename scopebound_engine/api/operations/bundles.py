"""Bundles: the policies in force, those that were, and how they change."""

from http import HTTPStatus
from typing import Any, Final

from scopebound_engine.api.backtests import BundleBacktest
from scopebound_engine.api.bundles import (
    DIGEST_DIGITS,
    GZIP,
    LAST_EVENT,
    LONGEST_TEXT,
    MOST_EVENTS,
    REQUIRED,
    BundleCollection,
    BundleItem,
    Why,
)
from scopebound_engine.api.examples import bundles as examples
from scopebound_engine.api.examples.backtests import REPORT
from scopebound_engine.api.openapi import Answer, Body, Operation
from scopebound_engine.api.operations.parameters import query
from scopebound_engine.api.operations.statuses import (
    ASKED,
    CONFLICT,
    NOT_FOUND,
    OK,
    REFUSED,
    WRITING,
)
from scopebound_engine.api.schemas import bundles as schemas
from scopebound_engine.api.schemas.backtests import BacktestReport
from scopebound_engine.author.backtesting.server import MOST_HOURS, WINDOW_HOURS

_COLLECTION: Final = "/mgmt/v1/bundles"
_ITEM: Final = f"{_COLLECTION}/{{bundle_id}}"
_READING: Final = "For the scopes `bundles`, `rollback` and `audit`."


def _id(example: str, name: str = "bundle_id", meaning: str = "The version's id.") -> Any:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": meaning,
        "schema": {"type": "string", "format": "uuid"},
        "example": example,
    }


def _flag(name: str, meaning: str, default: bool) -> Any:
    return query(name, meaning, type="boolean", default=default)


def _hours(name: str) -> Any:
    return query(
        name,
        "Decisions of the last hours are decided again.",
        type="integer",
        minimum=1,
        maximum=MOST_HOURS,
        default=WINDOW_HOURS,
    )


# Where an answer's fields go next, for clients and tests that walk the API.
_LINKS: Final = {
    name: {"operationId": name, "parameters": {"bundle_id": "$response.body#/versions/0/id"}}
    for name in ("getBundle", "downloadBundle", "activateBundle", "rollbackBundle", "deleteBundle")
}

OPERATIONS: Final = (
    Operation(
        id="listBundles",
        method="get",
        path=_COLLECTION,
        tag="bundles",
        responder=BundleCollection.on_get,
        answers={
            OK: Answer("The versions.", schemas.BundleList, {"all": examples.BUNDLE_LIST}),
        },
        problems=ASKED,
        links=_LINKS,
        note=_READING,
    ),
    Operation(
        id="uploadBundle",
        method="post",
        path=f"{_COLLECTION}/upload",
        tag="bundles",
        responder=BundleCollection.on_post_upload,
        body=Body(bytes, examples.FILE, media_type="application/octet-stream"),
        parameters=(
            query("description", "What is new.", type="string", maxLength=LONGEST_TEXT),
            _flag("activate", "`false` stores it and leaves the one in force.", True),
            _flag("dry_run", "`true` makes every check and stores nothing.", False),
            _flag(
                "acknowledge_floor",
                "`true`, for the scope `admin`, takes a bundle that allows what any must deny.",
                False,
            ),
            query(
                "backtest",
                "Refuse it if calls that were denied would have been allowed by it, more than "
                "SCOPEBOUND_BACKTEST_MAX_DENY_TO_ALLOW.",
                type="string",
                enum=[REQUIRED],
            ),
            _hours("backtest_window_hours"),
            query(
                "acknowledge_backtest",
                "Take it all the same: the `digest` of its backtest.",
                type="string",
                maxLength=DIGEST_DIGITS,
            ),
        ),
        answers={
            OK: Answer(
                "What became of it.",
                schemas.ActivatedBundle | schemas.StoredBundle | schemas.TriedBundle,
                {
                    "activated": examples.UPLOADED,
                    "stored": examples.STORED,
                    "dry run": examples.TRIED,
                },
            )
        },
        problems=(*WRITING, CONFLICT, REFUSED),
        note="For the scope `bundles`. A bundle is a signed tar.gz of .rego files, data.json and "
        "manifest.json; what it is refused for is listed whole, as `findings`.",
    ),
    Operation(
        id="listBundleEvents",
        method="get",
        path=f"{_COLLECTION}/events",
        tag="bundles",
        responder=BundleCollection.on_get_events,
        parameters=(
            query("limit", "At most so many.", type="integer", minimum=1, maximum=MOST_EVENTS),
            query(
                "before",
                "Only those before this id.",
                type="integer",
                minimum=1,
                maximum=LAST_EVENT,
            ),
        ),
        answers={
            OK: Answer("Events.", schemas.BundleEventList, {"all": examples.BUNDLE_EVENTS}),
        },
        problems=ASKED,
        note=_READING,
    ),
    Operation(
        id="getBundle",
        method="get",
        path=_ITEM,
        tag="bundles",
        responder=BundleItem.on_get,
        parameters=(_id(examples.BUNDLE_ID),),
        answers={
            OK: Answer("The version.", schemas.BundleDetails, {"one": examples.BUNDLE_DETAILS}),
        },
        problems=(*ASKED, NOT_FOUND, REFUSED),
        note=_READING,
    ),
    Operation(
        id="downloadBundle",
        method="get",
        path=f"{_ITEM}/download",
        tag="bundles",
        responder=BundleItem.on_get_download,
        parameters=(
            _id(examples.BUNDLE_ID),
            {
                "name": "If-None-Match",
                "in": "header",
                "description": "An ETag that was answered before.",
                "schema": {"type": "string"},
            },
        ),
        answers={
            OK: Answer(
                "The tar.gz.",
                headers={
                    "ETag": "The checksum.",
                    "Content-Disposition": "With a name for the file.",
                },
                media_type=GZIP,
            ),
            HTTPStatus.NOT_MODIFIED: Answer(
                "It is the one that If-None-Match names.",
                headers={"ETag": "The checksum."},
                media_type="",
            ),
        },
        problems=(*ASKED, NOT_FOUND, REFUSED),
        note=_READING,
    ),
    Operation(
        id="compareBundles",
        method="get",
        path=f"{_ITEM}/diff/{{other_id}}",
        tag="bundles",
        responder=BundleItem.on_get_diff,
        parameters=(
            _id(examples.BASELINE_ID),
            _id(examples.BUNDLE_ID, "other_id", "The id of the version to compare with."),
        ),
        answers={OK: Answer("What changes.", schemas.BundleDiff, {"one": examples.DIFF})},
        problems=(*ASKED, NOT_FOUND, REFUSED),
        note=_READING,
    ),
    Operation(
        id="activateBundle",
        method="post",
        path=f"{_ITEM}/activate",
        tag="bundles",
        responder=BundleItem.on_post_activate,
        parameters=(_id(examples.STORED_ID),),
        answers={
            OK: Answer("It is in force.", schemas.ActivatedBundle, {"one": examples.ACTIVATED}),
        },
        problems=(*ASKED, NOT_FOUND, CONFLICT, REFUSED),
        note="For the scope `bundles`.",
    ),
    Operation(
        id="backtestBundle",
        method="post",
        path=f"{_ITEM}/backtest",
        tag="bundles",
        responder=BundleBacktest.on_post,
        parameters=(_id(examples.STORED_ID), _hours("window_hours")),
        answers={
            OK: Answer("The report.", BacktestReport, {"one": REPORT}),
        },
        problems=(*ASKED, NOT_FOUND, REFUSED),
        note="For the scope `bundles`. It takes its time; while another one is under way on the "
        "node it is busy.",
    ),
    Operation(
        id="rollbackBundle",
        method="post",
        path=f"{_COLLECTION}/rollback/{{bundle_id}}",
        tag="bundles",
        responder=BundleItem.on_post_rollback,
        body=Body(Why, examples.WHY, required=False),
        parameters=(
            _id(examples.BASELINE_ID),
            query("reason", "Why, unless the body says so.", type="string", maxLength=LONGEST_TEXT),
        ),
        answers={
            OK: Answer("It is in force again.", schemas.RolledBack, {"one": examples.ROLLED_BACK}),
        },
        problems=(*WRITING, NOT_FOUND, CONFLICT, REFUSED),
        note="For the scope `rollback`.",
    ),
    Operation(
        id="deleteBundle",
        method="delete",
        path=_ITEM,
        tag="bundles",
        responder=BundleItem.on_delete,
        parameters=(_id(examples.OLD_ID),),
        answers={
            OK: Answer("It is removed.", schemas.DeletedBundle, {"one": examples.DELETED}),
        },
        problems=(*ASKED, NOT_FOUND, CONFLICT),
        note="For the scope `bundles`; and `rollback` too, for the version that was in force last "
        "before the one that is: it is the way back. The one in force is a conflict.",
    ),
)
