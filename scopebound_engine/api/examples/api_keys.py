"""Examples of API keys."""

from typing import Any, Final

API_KEY_ID: Final = "5f0c64b1-9d0f-4c0c-8c6b-0d6f7e2f9a10"
API_KEY_REQUEST: Final = {
    "name": "invoice-agents",
    "scopes": ["enforce"],
    "roles": ["invoice-processor"],
}
API_KEY: Final[dict[str, Any]] = {
    **API_KEY_REQUEST,
    "id": API_KEY_ID,
    "hint": "sb-Zx1y0",
    "created_at": "2026-04-29T12:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}
NEW_API_KEY: Final = {**API_KEY, "api_key": "sb-Zx1y0…"}
REVOKED_API_KEY: Final = {**API_KEY, "revoked_at": "2026-04-30T08:15:00Z"}
API_KEY_LIST: Final = {"count": 1, "api_keys": [API_KEY]}
