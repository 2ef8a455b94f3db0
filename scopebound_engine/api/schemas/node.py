"""What a node says of itself."""

from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp


@with_config(EXACT)
class NodeHealth(TypedDict):
    """Can this node decide? `down` when not, `degraded` when something is missing."""

    status: Literal["ok", "degraded", "down"]
    sprint: str
    uptime_seconds: int
    bundle_version: str | None
    bundle_last_synced_at: Timestamp
    db_status: Literal["ok", "down"]


@with_config(EXACT)
class PublicKey(TypedDict):
    """An RSA public key (RFC 7517)."""

    kty: Literal["RSA"]
    use: Literal["sig"]
    alg: Literal["RS256"]
    kid: str
    n: str
    e: str


@with_config(EXACT)
class KeySet(TypedDict):
    """The public keys that session tokens are verified with."""

    keys: list[PublicKey]
