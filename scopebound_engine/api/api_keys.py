"""/mgmt/v1/api-keys: make, read and revoke API keys.

For the scope `admin` alone. It carries every scope, so no key is made that may do more than the one
that makes it.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

import falcon
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.model import ADMIN, SCOPES, ApiKey
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.audit_trail import audit, subject
from scopebound_engine.api.auth import require
from scopebound_engine.api.body import read_json
from scopebound_engine.errors import NotFoundError
from scopebound_engine.parsing import parse
from scopebound_engine.role.schema import PRINTABLE_NAME
from scopebound_engine.role.values import is_uuid
from scopebound_engine.session.store import Sessions
from scopebound_engine.times import timestamp

_SCOPES: Final[JsonDict] = {
    "items": {"type": "string", "enum": [*sorted(SCOPES)]},
    "minItems": 1,
}


class NewApiKey(BaseModel):
    """The body of a POST. What its values may be is the store's to say."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(json_schema_extra=PRINTABLE_NAME)]
    scopes: Annotated[list[str], Field(json_schema_extra=_SCOPES)]
    roles: list[Annotated[str, Field(json_schema_extra=PRINTABLE_NAME)]] = []


@dataclass(frozen=True, slots=True)
class ApiKeyCollection:
    """All API keys."""

    api_keys: ApiKeyStore

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Every key, revoked ones too, eldest first."""
        require(req, ADMIN)
        found = [_answer(key) for key in self.api_keys.list()]
        answer_json(resp, {"count": len(found), "api_keys": found})

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make a key; the answer (201) is the only place where its secret is ever shown."""
        require(req, ADMIN)
        wish = parse(NewApiKey, read_json(req))
        roles = tuple(dict.fromkeys(wish.roles))
        key, secret = self.api_keys.create(wish.name, frozenset(wish.scopes), roles)
        granted = {"scopes": sorted(key.scopes), "roles": list(key.roles), "hint": key.hint}
        audit(req, "api_key.created", _subject(key), granted, HTTPStatus.CREATED)
        answer_json(resp, {**_answer(key), "api_key": secret}, HTTPStatus.CREATED)
        resp.set_header("Location", f"/mgmt/v1/api-keys/{key.id}")
        resp.set_header("Cache-Control", "no-store")


@dataclass(frozen=True, slots=True)
class ApiKeyItem:
    """One API key, by its id."""

    api_keys: ApiKeyStore
    sessions: Sessions

    def on_get(self, req: falcon.Request, resp: falcon.Response, key_id: str) -> None:
        """The key."""
        require(req, ADMIN)
        answer_json(resp, _answer(self.api_keys.get(_id(key_id))))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, key_id: str) -> None:
        """Revoke the key, within a second on every node, and all sessions that it made."""
        require(req, ADMIN)
        key = self.api_keys.revoke(_id(key_id))
        ended = None
        try:
            # Again, too: the first time may have ended between the two.
            ended = self.sessions.revoke_of_key(key.id)
        finally:
            audit(req, "api_key.revoked", _subject(key), _end(key, ended))
        answer_json(resp, _answer(key))


def _end(key: ApiKey, sessions_ended: int | None) -> dict[str, Any]:
    """When it was revoked, which may be long ago, and how many sessions ended now if all did."""
    revoked_at = timestamp(key.revoked_at) if key.revoked_at else None
    return {"revoked_at": revoked_at, "sessions_ended": sessions_ended}


def _subject(key: ApiKey) -> dict[str, str]:
    return subject("api_key", key.id, key.name)


def _answer(key: ApiKey) -> dict[str, Any]:
    """The key without its secret, of which nothing but a hash is known, nor that hash."""
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": sorted(key.scopes),
        "roles": list(key.roles),
        "created_at": timestamp(key.created_at),
        "last_used_at": timestamp(key.last_used_at) if key.last_used_at else None,
        "revoked_at": timestamp(key.revoked_at) if key.revoked_at else None,
    }


def _id(key_id: str) -> str:
    if not is_uuid(key_id):
        raise NotFoundError(
            "an API key's address ends in its id; GET /mgmt/v1/api-keys shows those of all"
        )
    return key_id.lower()
