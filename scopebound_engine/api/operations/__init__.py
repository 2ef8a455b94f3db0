"""The operations of the API as data: what each is sent, and everything it can answer.

A test holds these tables against the routes of the app: each is described, and nothing else.
"""

from typing import Final

from scopebound_engine.api.operations import api_keys, enforcement, node, roles

TAGS: Final = {
    "enforcement": "What an agent's program asks: sessions and decisions.",
    "roles": "What agents of a kind may do.",
    "api-keys": "Who may call this API, and for what.",
    "node": "What anyone may know of this node.",
}
OPERATIONS: Final = (
    *enforcement.OPERATIONS,
    *roles.OPERATIONS,
    *api_keys.OPERATIONS,
    *node.OPERATIONS,
)
