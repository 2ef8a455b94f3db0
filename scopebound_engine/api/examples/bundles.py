"""Examples of bundles and what becomes of them."""

from typing import Any, Final

BUNDLE_ID: Final = "feed6359-c16c-4d1c-910d-6440c8b95b60"
BASELINE_ID: Final = "8ddcf3ca-1281-4668-9333-f067b989337f"
STORED_ID: Final = "2b1c0d56-7c7e-4f0b-9b0e-6f6d3a1f1c11"
OLD_ID: Final = "c3a9e1f4-0f52-4d6e-8c58-3f7f0f5f2a42"
FILE: Final = "bundle.tar.gz"

_API_KEY_ID: Final = "5f0c64b1-9d0f-4c0c-8c6b-0d6f7e2f9a10"
_SIGNER: Final = "pGVK3hxVw4ZzyQxC1d7eJc4b2m0n8R5tYqLwS9uXfOa"
_CHECKSUM: Final = "e47bc950ffd3a8c362ded5e5f7b6d988706acd94991340b1f0c7da4c9bcddd55"
_BASELINE: Final = "a1b2c3d4cdd8d05b5a3ebf7c8a7c0e8f6d2c5b4a39281706f5e4d3c2b1a09f8e"
_IDENTITY: Final = "0f9d7e3c6a5b4d2e1c8f7a6b5d4e3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d"

_WARNING: Final = {
    "step": "costs",
    "level": "warning",
    "file": "",
    "line": 0,
    "column": 0,
    "message": "the bundle has 180 rules, over 150: each adds about 2 µs to a call",
    "remedy": "",
}
_SPREAD: Final = {
    "converged": True,
    "workers": {"expected": 4, "running": 4, "laggards": []},
}

BUNDLE: Final[dict[str, Any]] = {
    "id": BUNDLE_ID,
    "version": "1.0.0",
    "checksum": _CHECKSUM,
    "bundle_path": "bundle-history/bundle-20260429-172000.tar.gz",
    "is_active": False,
    "uploaded_at": "2026-04-29T17:20:00Z",
    "activated_at": "2026-04-29T17:20:00Z",
    "description": "add rate limit rule",
    "name": "invoice-policies",
    "identity": _IDENTITY,
    "key_id": _SIGNER,
    "uploaded_by": "ci",
    "generation": None,
}
_ACTIVE: Final[dict[str, Any]] = {
    **BUNDLE,
    "id": BASELINE_ID,
    "checksum": _BASELINE,
    "bundle_path": "bundle-history/bundle-20260429-171340.tar.gz",
    "is_active": True,
    "uploaded_at": "2026-04-29T17:13:40Z",
    "activated_at": "2026-04-29T17:21:00Z",
    "description": "baseline v1",
    "generation": 3,
}
BUNDLE_LIST: Final = {"count": 2, "versions": [BUNDLE, _ACTIVE]}
_ROLLED_BACK: Final[dict[str, Any]] = {
    "id": 7,
    "at": "2026-04-29T17:21:00Z",
    "kind": "bundle.rolled_back",
    "actor": "ci",
    "api_key_id": _API_KEY_ID,
    "key_id": _SIGNER,
    "bundle_id": BASELINE_ID,
    "from_bundle_id": BUNDLE_ID,
    "from_generation": 2,
    "generation": 3,
    "version": "1.0.0",
    "checksum": _BASELINE,
    "reason": "limits too tight",
    "findings": [],
}
BUNDLE_EVENTS: Final = {"count": 1, "events": [_ROLLED_BACK]}
BUNDLE_DETAILS: Final[dict[str, Any]] = {
    **_ACTIVE,
    "manifest": {
        "name": "invoice-policies",
        "version": "1.0.0",
        "entrypoint": "scopebound/decision",
        "deny_codes": [
            {"code": "SCOPE_VIOLATION", "severity": "medium", "description": "not granted"}
        ],
    },
    "files": [{"name": "scopebound/main.rego", "bytes": 1480, "sha256": _IDENTITY}],
    "warnings": [_WARNING],
    "events": [_ROLLED_BACK],
}
UPLOADED: Final[dict[str, Any]] = {
    "id": BUNDLE_ID,
    "version": "1.0.0",
    "checksum": _CHECKSUM,
    "is_active": True,
    "uploaded_at": "2026-04-29T17:20:00Z",
    "description": "add new rule",
    "unchanged": False,
    "generation": 2,
    "warnings": [_WARNING],
    **_SPREAD,
}
ACTIVATED: Final = {**UPLOADED, "id": STORED_ID, "generation": 4, "warnings": []}
STORED: Final = {name: value for name, value in UPLOADED.items() if name not in _SPREAD} | {
    "is_active": False,
    "generation": None,
}
TRIED: Final = {
    "dry_run": True,
    "outcome": "activate",
    "version": "1.0.0",
    "checksum": _CHECKSUM,
    "identity": _IDENTITY,
    "key_id": _SIGNER,
    "warnings": [],
}
WHY: Final = {"reason": "limits too tight"}
ROLLED_BACK: Final = {
    "message": "rollback successful",
    "version_id": BASELINE_ID,
    "version": "1.0.0",
    "checksum": _BASELINE,
    "generation": 3,
    "unchanged": False,
    **_SPREAD,
}
DELETED: Final = {"deleted": True, "id": OLD_ID, "version": "0.9.0"}
_OLD: Final = {"id": BASELINE_ID, "version": "1.0.0", "checksum": _BASELINE}
_NEW: Final = {"id": BUNDLE_ID, "version": "1.0.0", "checksum": _CHECKSUM}
DIFF: Final = {
    "old": _OLD,
    "new": _NEW,
    "same": False,
    "rules": [
        {
            "change": "changed",
            "package": "scopebound.deny",
            "name": "violation",
            "places": [{"file": "scopebound/deny/data_limit.rego", "line": 8}],
            "lines": ["-  input.call_args.limit > 5000", "+  input.call_args.limit > 1000"],
        }
    ],
    "tests": [],
    "deny_codes": [],
    "matchers": [],
    "manifest": [],
    "data": [{"change": "changed", "path": "/scopebound/drift/alpha", "old": 0.01, "new": 0.001}],
}
