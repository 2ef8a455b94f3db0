"""GET /mgmt/v1/analytics: usage of all nodes in numbers, as far as their logs are shipped."""

from dataclasses import dataclass
from typing import Any, Final

import falcon

from scopebound_engine.access.model import AUDIT
from scopebound_engine.api import queries
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.log.analytics import Analytics, Usage
from scopebound_engine.times import moment, timestamp

WINDOW_HOURS: Final = 24
MOST_HOURS: Final = 168
# As many digits of a rate as in the reference.
_DIGITS: Final = 2


@dataclass(frozen=True, slots=True)
class UsageItem:
    """The usage of the last hours."""

    analytics: Analytics

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Calls allowed and denied in the hours before now, and the tools that were denied most.

        Repeats of a call (`replayed`) and delegations are no calls. Rates are rounded to two
        digits; `calls_by_hour` has every hour that the window touches. Of each node's hour the most
        denied tools are counted by name, and the denials of all others as `unnamed_deny_count`.
        """
        require(req, AUDIT)
        queries.only(req, {"window_hours"})
        hours = queries.number(req, "window_hours", WINDOW_HOURS, MOST_HOURS)
        answer_json(resp, _answer(hours, self.analytics.usage(hours)))


def _answer(window_hours: int, usage: Usage) -> dict[str, Any]:
    total = usage.allowed + usage.denied
    return {
        "window_hours": window_hours,
        "total_calls": total,
        "allow_count": usage.allowed,
        "deny_count": usage.denied,
        "allow_rate": round(usage.allowed / total, _DIGITS) if total else 0.0,
        "deny_rate": round(usage.denied / total, _DIGITS) if total else 0.0,
        "top_denied_tools": [
            {"tool_name": name, "deny_count": calls} for name, calls in usage.denied_tools
        ],
        "unnamed_deny_count": usage.unnamed,
        "calls_by_hour": [
            {
                "hour": timestamp(moment(hour.at_us / 1_000_000)),
                "allow_count": hour.allowed,
                "deny_count": hour.denied,
            }
            for hour in usage.hours
        ],
    }
