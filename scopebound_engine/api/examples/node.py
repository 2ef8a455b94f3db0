"""Examples of what a node says of itself."""

from typing import Final

_CHECKSUM: Final = "e47bc950ffd3a8c362ded5e5f7b6d988706acd94991340b1f0c7da4c9bcddd55"
HEALTH: Final = {
    "status": "ok",
    "sprint": "7",
    "uptime_seconds": 3600,
    "bundle_version": "1.0.0",
    "bundle_last_synced_at": "2026-04-29T12:00:00Z",
    "db_status": "ok",
    "bundle_generation": 1,
    "bundle_checksum": _CHECKSUM,
    "node_id": "0d3b4a52-9f0c-4a53-8a3a-1f0a4c7d9e11",
    "workers": [
        {
            "pid": 4711,
            "generation": 1,
            "checksum": _CHECKSUM,
            "age_seconds": 3600.0,
            "silent_seconds": 0.2,
            "last_error": None,
        }
    ],
    "last_chain_verified_at": "2026-04-29T12:00:00Z",
    "problems": [],
}
KEY_SET: Final = {
    "keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "node-1", "n": "u1SU1LfV…", "e": "AQAB"}
    ]
}
