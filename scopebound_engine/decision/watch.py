"""Whether what decides may still be believed: its key is looked at, and the bytes it came from.

Neither changes what decides. A bundle that is in force goes on being so although its key was
revoked or its copy was damaged: a node without one would deny every call. It is told instead.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.registry.registry import Registry
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.decision.active import ActiveBundle
from scopebound_engine.decision.problems import Problems
from scopebound_engine.errors import ConfigError, NotFoundError
from scopebound_engine.times import moment

TRUST_SECONDS: Final = 5.0
AUDIT_SECONDS: Final = 60.0

_TRUST: Final = "trust"


class Watch:
    """Looks when it is time to. Every method raises DatabaseUnavailableError."""

    def __init__(
        self,
        active: ActiveBundle,
        registry: Registry,
        history: History,
        trusted: Callable[[], TrustedKeys],
        problems: Problems,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._active, self._registry, self._history = active, registry, history
        self._trusted, self._problems = trusted, problems
        self._clock, self._monotonic = clock, monotonic
        self._generation = 0
        self._trust_at = self._audit_at = -math.inf

    def look(self) -> None:
        """Do what is due: the key every 5 s, the bytes of all versions every minute.

        Of a bundle that came in force since, both at once.
        """
        is_new = self._generation != self._active.generation
        self._generation = self._active.generation
        now = self._monotonic()
        if is_new or now >= self._trust_at:
            self._trust_at = now + TRUST_SECONDS
            self._judge_key()
        if now >= self._audit_at:
            self._audit_at = now + AUDIT_SECONDS
            self._audit(active_only=False)
        elif is_new:
            self._audit(active_only=True)

    def _judge_key(self) -> None:
        loaded, alarm = self._active.current, None
        try:
            trusted = self._trusted()
            if loaded is not None:
                alarm = trusted.alarm(loaded.key_id, moment(self._clock()))
        except ConfigError as error:
            alarm = f"the trusted keys cannot be read: {error}"
        if alarm:
            self._problems.note(_TRUST, alarm)
        else:
            self._problems.clear(_TRUST)

    def _audit(self, *, active_only: bool) -> None:
        versions = self._registry.versions()
        chosen = [one for one in versions if one.is_active or not active_only]
        # Suppressed: a version was removed in between; there is a next time.
        with suppress(NotFoundError):
            self._history.audit(chosen, self._registry.data)
            if not active_only:
                self._history.forget_all_but(versions)
