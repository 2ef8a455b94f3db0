"""Examples of the keys that logs are verified with."""

from typing import Final

_NODE: Final = "0d3b4a52-9f0c-4a53-8a3a-1f0a4c7d9e11"
KEYS: Final = {
    "count": 1,
    "keys": [
        {
            "node_id": _NODE,
            "vkey": f"scopebound-engine/{_NODE}+b1a7d3ce+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4iz…",
            "published_at": "2026-04-29T12:00:00Z",
        }
    ],
}
