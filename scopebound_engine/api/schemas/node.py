"""What a node says of itself."""

from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp


@with_config(EXACT)
class NodeWorker(TypedDict):
    """What a worker process of the node runs: generation 0 and no checksum are nothing.

    `age_seconds` since the bundle came in force there, `silent_seconds` since the worker was last
    heard of. `last_error` may be over: what is wrong now stands in `problems`.
    """

    pid: int
    generation: int
    checksum: str | None
    age_seconds: float | None
    silent_seconds: float
    last_error: str | None


@with_config(EXACT)
class NodeHealth(TypedDict):
    """Can this node decide? `down` when not, `degraded` when something is missing or amiss.

    `bundle_last_synced_at` is when the worker that answers last saw which bundle is in force. Where
    the database is down it speaks for itself alone. `last_chain_verified_at` is when the decision
    log on its disk was last found sound up to its end, null before that.
    """

    status: Literal["ok", "degraded", "down"]
    sprint: str
    uptime_seconds: int
    bundle_version: str | None
    bundle_last_synced_at: Timestamp
    db_status: Literal["ok", "down"]
    bundle_generation: int
    bundle_checksum: str | None
    node_id: str
    workers: list[NodeWorker]
    last_chain_verified_at: Timestamp | None
    problems: list[str]


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
