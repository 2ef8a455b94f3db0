"""Who may come in: a secret becomes its API key, its use is noted, wrong ones are counted."""

import time
from collections.abc import Callable

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.attempts import WrongKeys
from scopebound_engine.access.last_uses import LastUses
from scopebound_engine.access.model import ApiKey
from scopebound_engine.errors import AuthenticationError


class Doorkeeper:
    """Admits callers by their API key. Safe for use by many threads."""

    def __init__(
        self,
        store: ApiKeyStore,
        clock: Callable[[], float],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._uses = LastUses(store.record_uses, clock, monotonic)
        self._wrong_keys = WrongKeys(monotonic)

    def admit(self, secret: str, address: str) -> ApiKey:
        """The key of a secret that came from the peer with this address.

        Raises AuthenticationError when it is unknown or was revoked, which becomes
        TooManyAttemptsError when that happens too often; DatabaseUnavailableError.
        """
        try:
            key = self._store.authenticate(secret)
        except AuthenticationError:
            self._wrong_keys.count(address)
            raise
        self._uses.note(key.id)
        return key

    def close(self) -> None:
        """Write the last uses that are due, and stop doing so."""
        self._uses.close()
