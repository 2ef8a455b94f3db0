"""The keys that checkpoints of the nodes' logs are verified with."""

from pydantic import with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.values import EXACT, Timestamp


@with_config(EXACT)
class LogKey(TypedDict):
    """A public key as signed notes spell it: name, id and Ed25519 key, with `+` between them."""

    node_id: str
    vkey: str
    published_at: Timestamp


@with_config(EXACT)
class LogKeyList(TypedDict):
    """The keys of all nodes, eldest first."""

    count: int
    keys: list[LogKey]
