"""The policy of the bench's role, written down as a function: what a decision costs at the least.

Nobody can change it without a release; whoever reviews it reads Python.
"""

import re
import time
from datetime import UTC, datetime

from tests.bench.peers.question import CODE, Decide, Question

_TOOLS = frozenset({"read_invoices", "send_email", "list_vendors"})
_ADDRESS = re.compile(r"^[^@]+@company\.com$")


def opened() -> Decide:
    """There is nothing to make ready."""
    return decide


def decide(question: Question) -> str | None:  # noqa: PLR0911 (one for each rule)
    """The code of the first rule that denies, in the order of the shipped bundle."""
    arguments, claims = question.arguments, question.facts["claims"]
    session, now = question.facts["session"], time.time()
    if session["revoked"] or now >= claims["exp"]:
        return "SESSION_EXPIRED"
    if question.tool not in _TOOLS:
        return "SCOPE_VIOLATION"
    env = arguments.get("env")
    if env is not None and env not in ("staging", "production"):
        return "ENV_VIOLATION"
    if not _fits(question.tool, arguments):
        return CODE
    limit = arguments.get("limit")
    if limit is not None and not (_is_number(limit) and limit == int(limit) and 1 <= limit <= 1000):
        return "DATA_LIMIT_EXCEEDED"
    if datetime.fromtimestamp(now, UTC).weekday() not in (0, 1, 2, 3, 4, 5, 6):
        return "TIME_VIOLATION"
    if not all(window["granted"] for window in session["rate"].values()):
        return "RATE_LIMIT_EXCEEDED"
    return "BEHAVIORAL_DRIFT" if session["drift"]["latched"] else None


def _fits(tool: str, arguments: dict[str, object]) -> bool:
    if tool == "send_email" and "to" in arguments:
        address = arguments["to"]
        return isinstance(address, str) and _ADDRESS.search(address) is not None
    if tool == "read_invoices" and "amount" in arguments:
        amount = arguments["amount"]
        return _is_number(amount) and amount < 50_000
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
