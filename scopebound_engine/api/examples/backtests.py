"""Examples of backtests."""

from typing import Any, Final

_FLIP: Final = {"kind": "deny_to_allow", "tool": "payments.refund", "role": "billing"}

REPORT: Final[dict[str, Any]] = {
    "digest": "5b0e8f4f6a0f1c6f3c1d7d5f0e2b9a8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a",
    "flips": 12,
    "name": "invoice-policies",
    "version": "1.1.0",
    "policy": "0f9d7e3c6a5b4d2e1c8f7a6b5d4e3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d",
    "records": 4120,
    "decided": 4051,
    "undecidable": {"masked": 27, "no decision": 30, "replay": 12},
    "bundles": [
        {
            "version": "1.0.0",
            "checksum": "e47bc950ffd3a8c362ded5e5f7b6d988706acd94991340b1f0c7da4c9bcddd55",
            "decisions": 4051,
        }
    ],
    "kinds": {"deny_to_allow": 12, "allow_to_deny": 0, "deny_code": 0},
    "altered": 3,
    "without_verdict": 0,
    "groups": [{**_FLIP, "was": "PARAMETER_VIOLATION", "now": "allow", "count": 12}],
    "examples": [
        {
            **_FLIP,
            "id": "019ddc83-2c40-7b1e-8f00-3d5a0c9b7e21",
            "at": "2026-04-29T17:20:00.123456Z",
            "was": [
                {
                    "code": "PARAMETER_VIOLATION",
                    "reason": 'argument "amount" is 512; it must satisfy lt 500',
                    "rules": [],
                }
            ],
            "now": [],
        }
    ],
    "warnings": [],
    "seconds": 4.2,
}
