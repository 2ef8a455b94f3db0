"""The operations of the API as data: what each is sent, and everything it can answer.

A test holds these tables against the routes of the app: each is described, and nothing else.
"""

from typing import Final

from scopebound_engine.api.operations import (
    api_keys,
    baselines,
    bundles,
    checkpoints,
    decisions,
    enforcement,
    node,
    roles,
    sessions,
    webhooks,
)

TAGS: Final = {
    "enforcement": "What an agent's program asks: sessions and decisions.",
    "sessions": "What agents are doing, and how they are stopped.",
    "roles": "What agents of a kind may do.",
    "webhooks": "Whether receivers are told of denials.",
    "bundles": "The policies in force, those that were, and how they change.",
    "audit": "The decision log, and what it is verified by.",
    "api-keys": "Who may call this API, and for what.",
    "node": "What anyone may know of this node.",
}
OPERATIONS: Final = (
    *enforcement.OPERATIONS,
    *sessions.OPERATIONS,
    *baselines.OPERATIONS,
    *webhooks.OPERATIONS,
    *roles.OPERATIONS,
    *bundles.OPERATIONS,
    *decisions.OPERATIONS,
    *checkpoints.OPERATIONS,
    *api_keys.OPERATIONS,
    *node.OPERATIONS,
)
