"""Examples of baselines; a test holds their sentences against those of the engine."""

from typing import Final

from scopebound_engine.api.examples.roles import ROLE_ID

READY: Final = {
    "ready": True,
    "role_id": ROLE_ID,
    "sessions": 52,
    "needed": 20,
    "baseline": {
        "id": 3,
        "fitted_at": "2026-04-29T04:04:40Z",
        "sessions": 52,
        "calls": 1213,
        "concentration": 24.6,
        "frequencies": {"read_invoices": 0.9, "send_email": 0.075},
        "others": 0.025,
    },
    "notices": [
        "a session that only calls send_email would be denied at call 10",
        "a session that only calls read_invoices would not be denied within 1,000 calls",
        "a session of which one call in 2 is send_email, else usual, would be denied at about call"
        " 46",
        "a session of which one call in 5 is send_email, else usual, would not be denied within"
        " 1,000 calls",
        "a session that only calls send_email after 100 usual calls would be denied at about call"
        " 85 of those",
        "a session that calls all tools alike would be denied at about call 120",
        "a session that follows the baseline is ever denied with a probability of 0.001 at most,"
        " however long it is",
        "this is reckoned for a bundle with the shipped thresholds (drift.alpha 0.001,"
        " drift.min_calls 10); those of the bundle in force decide",
    ],
}
WAITING: Final = {
    "ready": False,
    "role_id": ROLE_ID,
    "sessions": 7,
    "needed": 20,
    "baseline": None,
    "notices": [
        "not enough sessions yet: 7 of 20; no session is denied for drift that began without a"
        " baseline",
    ],
}
