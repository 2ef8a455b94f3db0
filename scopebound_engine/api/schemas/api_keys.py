"""API keys."""

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid


@with_config(EXACT)
class ApiKeyAnswer(TypedDict):
    """An API key without its secret, of which only a hash is stored."""

    id: Uuid
    name: str
    hint: str
    scopes: list[str]
    roles: list[str]
    created_at: Timestamp
    last_used_at: Timestamp | None
    revoked_at: Timestamp | None


@with_config(EXACT)
class CreatedApiKey(ApiKeyAnswer):
    """An API key and its secret, which is shown this once."""

    api_key: str


@with_config(EXACT)
class ApiKeyList(TypedDict):
    """All keys, revoked ones too, eldest first."""

    count: int
    api_keys: list[ApiKeyAnswer]
