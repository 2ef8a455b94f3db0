"""Examples of what a node says of itself."""

from typing import Final

HEALTH: Final = {
    "status": "ok",
    "sprint": "7",
    "uptime_seconds": 3600,
    "bundle_version": "1.0.0",
    "bundle_last_synced_at": "2026-04-29T12:00:00Z",
    "db_status": "ok",
}
KEY_SET: Final = {
    "keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "node-1", "n": "u1SU1LfV…", "e": "AQAB"}
    ]
}
