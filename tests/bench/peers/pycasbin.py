"""The same rules in Casbin (https://casbin.org), by pycasbin, whose engine is written in Python.

A line of the policy grants a role one tool on a condition, which the model's matcher evaluates. So
there is one rule for each tool, and a denial does not say what was wrong.
"""

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import casbin

from tests.bench.peers.question import DENIED, Decide, Question

_MODEL = """
[request_definition]
r = role, tool, call
[policy_definition]
p = role, tool, condition
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.role == p.role && r.tool == p.tool && eval(p.condition)
"""
_SCOPE = (
    "not r.call.revoked and r.call.now < r.call.exp"
    " and (r.call.env is None or r.call.env in ('staging', 'production'))"
    " and (r.call.limit is None or 1 <= r.call.limit <= 1000)"
    " and r.call.weekday in (0, 1, 2, 3, 4, 5, 6)"
    " and r.call.granted and not r.call.latched"
)
_ADDRESS = r"regexMatch(r.call.to, '^[^@]+@company\\.com$')"
_CONDITIONS = {
    "read_invoices": f"{_SCOPE} and (r.call.amount is None or r.call.amount < 50000)",
    "send_email": f"{_SCOPE} and (r.call.to is None or {_ADDRESS})",
    "list_vendors": _SCOPE,
}


def opened() -> Decide:
    """Parses the model, adds the policies."""
    model = casbin.Model()
    model.load_model_from_text(_MODEL)
    enforcer = casbin.Enforcer(model)
    for tool, condition in _CONDITIONS.items():
        enforcer.add_policy("bench", tool, condition)

    def decide(question: Question) -> str | None:
        return None if enforcer.enforce("bench", question.tool, call(question)) else DENIED

    return decide


def call(question: Question) -> Any:
    """What the conditions ask of a call, as attributes."""
    arguments, session, now = question.arguments, question.facts["session"], time.time()
    return SimpleNamespace(
        **{name: arguments.get(name) for name in ("env", "limit", "amount", "to")},
        revoked=session["revoked"],
        now=now,
        exp=question.facts["claims"]["exp"],
        weekday=datetime.fromtimestamp(now, UTC).weekday(),
        granted=all(window["granted"] for window in session["rate"].values()),
        latched=session["drift"]["latched"],
    )
