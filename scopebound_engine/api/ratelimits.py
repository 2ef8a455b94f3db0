"""RateLimit-Policy and RateLimit: what a session may do, and what is left of it, as header fields.

The format is that of https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10,
Lists of Structured Fields (RFC 9651): `q` requests in `w` seconds; `r` of them left, and more of
them in `t` seconds at the latest. `pk` is the MCP server whose limit it is.
"""

import base64
from collections.abc import Iterator
from typing import NamedTuple

from scopebound_engine.session.state.seam import Entry, SessionFacts, Window

_MINUTE_SECONDS, _HOUR_SECONDS = 60, 3600


class _Limit(NamedTuple):
    name: str
    seconds: int
    found: Window
    partition: str = ""

    @property
    def policy(self) -> str:
        return f'"{self.name}";q={self.found.limit};w={self.seconds}{self.partition}'

    @property
    def left(self) -> str:
        return f'"{self.name}";r={self.found.remaining}{self._more}{self.partition}'

    @property
    def _more(self) -> str:
        """When the bucket has one more; a full one has all it can have."""
        limit, left = self.found.limit, self.found.remaining
        if left >= limit:
            return ""
        return f";t={self.found.retry_after_seconds or -(-self.seconds // limit)}"


def fields(entry: Entry, session: SessionFacts) -> dict[str, str]:
    """The fields by name, for a call that found this; none where its session has no limits.

    What is left is not known to a call that took no token because it came before.
    """
    limits = list(_limits(entry, session))
    if not limits:
        return {}
    found = {"RateLimit-Policy": ", ".join(limit.policy for limit in limits)}
    if not session.replayed and not session.conflict:
        found["RateLimit"] = ", ".join(limit.left for limit in limits)
    return found


def _limits(entry: Entry, session: SessionFacts) -> Iterator[_Limit]:
    for name, seconds, found in (
        ("minute", _MINUTE_SECONDS, session.minute),
        ("hour", _HOUR_SECONDS, session.hour),
    ):
        if found.limit:
            yield _Limit(name, seconds, found)
    if session.server is not None:
        name = base64.b64encode((entry.server or "").encode()).decode()
        yield _Limit("server", _MINUTE_SECONDS, session.server, f";pk=:{name}:")
