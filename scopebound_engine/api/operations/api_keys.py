"""API keys: who may call, and for what."""

from typing import Final

from scopebound_engine.api.api_keys import ApiKeyCollection, ApiKeyItem, NewApiKey
from scopebound_engine.api.examples import api_keys as examples
from scopebound_engine.api.openapi import Answer, Body, Operation
from scopebound_engine.api.operations.statuses import (
    CONFLICT,
    CREATED,
    NOT_FOUND,
    OK,
    READING,
    WRITING,
)
from scopebound_engine.api.schemas import api_keys as schemas

_KEY_ID: Final = {
    "name": "key_id",
    "in": "path",
    "required": True,
    "description": "The key's id.",
    "schema": {"type": "string", "format": "uuid"},
    "example": examples.API_KEY_ID,
}
_COLLECTION, _ITEM = "/mgmt/v1/api-keys", "/mgmt/v1/api-keys/{key_id}"

OPERATIONS: Final = (
    Operation(
        id="listApiKeys",
        method="get",
        path=_COLLECTION,
        tag="api-keys",
        responder=ApiKeyCollection.on_get,
        answers={OK: Answer("The keys.", schemas.ApiKeyList, {"all": examples.API_KEY_LIST})},
        problems=READING,
    ),
    Operation(
        id="createApiKey",
        method="post",
        path=_COLLECTION,
        tag="api-keys",
        responder=ApiKeyCollection.on_post,
        body=Body(NewApiKey, examples.API_KEY_REQUEST),
        answers={
            CREATED: Answer(
                "The key and its secret.",
                schemas.CreatedApiKey,
                {"key": examples.NEW_API_KEY},
                {"Location": "The path of the key.", "Cache-Control": "no-store"},
            )
        },
        problems=(*WRITING, CONFLICT),
        links={
            name: {"operationId": name, "parameters": {"key_id": "$response.body#/id"}}
            for name in ("getApiKey", "revokeApiKey")
        },
    ),
    Operation(
        id="getApiKey",
        method="get",
        path=_ITEM,
        tag="api-keys",
        responder=ApiKeyItem.on_get,
        parameters=(_KEY_ID,),
        answers={OK: Answer("The key.", schemas.ApiKeyAnswer, {"key": examples.API_KEY})},
        problems=(*READING, NOT_FOUND),
    ),
    Operation(
        id="revokeApiKey",
        method="delete",
        path=_ITEM,
        tag="api-keys",
        responder=ApiKeyItem.on_delete,
        parameters=(_KEY_ID,),
        answers={
            OK: Answer("It is revoked.", schemas.ApiKeyAnswer, {"key": examples.REVOKED_API_KEY})
        },
        problems=(*READING, NOT_FOUND),
    ),
)
