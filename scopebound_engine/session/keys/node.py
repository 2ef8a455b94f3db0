"""The signing keys of one node: made, rotated, listed. Who signs and verifies is in signing.py."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from scopebound_engine.errors import ConfigError
from scopebound_engine.role.values import MAX_TTL_SECONDS
from scopebound_engine.session.keys.folder import KeyFolder, PrivateKeys
from scopebound_engine.session.keys.published import (
    PublishedKey,
    PublishedKeys,
    publish,
    published,
    signing,
)
from scopebound_engine.times import moment

# Until the last token has lapsed that was signed by a process which had not yet noticed the
# rotation, and by a clock that may be ahead by the leeway of tokens.
RETIRING_SECONDS: Final = MAX_TTL_SECONDS + 60


class NodeKeys:
    """Changes a node's keys, one process at a time.

    Every method raises ConfigError for a key file or row that will not do, and
    DatabaseUnavailableError.
    """

    def __init__(self, engine: Engine, folder: KeyFolder, clock: Callable[[], float]) -> None:
        self._engine, self._folder, self._clock = engine, folder, clock

    def ensure(self) -> None:
        """Make and publish a key if the node has none that it may sign with."""
        with self._folder.alone():
            private, known = self._publish_all()
            if not signing(known, private):
                publish(self._engine, self._folder.make(), self._now())

    def rotate(self) -> PublishedKey:
        """Make and publish a new key; the former ones begin to retire.

        The node's processes sign with it as soon as they look again, and tokens of the former keys
        are verified until the last has lapsed. Raises ConfigError when the node has no key yet.
        """
        with self._folder.alone():
            former, _ = self._publish_all()
            if not former:
                raise ConfigError(
                    f"there is no signing key in {self._folder.path} to rotate: a node makes one "
                    "at its first start. Name the node's data folder with SCOPEBOUND_DATA_DIR."
                )
            made, now = self._folder.make(), self._now()
            until = now + timedelta(seconds=RETIRING_SECONDS)
            known = publish(self._engine, made, now, retiring=former, until=until)
        (kid,) = made
        return known[kid]

    def list(self) -> list[tuple[PublishedKey, bool]]:
        """The keys of all nodes, eldest first, each with whether its private half is here."""
        private = self._folder.read()
        keys = sorted(published(self._engine).values(), key=lambda key: (key.not_before, key.kid))
        return [(key, key.kid in private) for key in keys]

    def _publish_all(self) -> tuple[PrivateKeys, PublishedKeys]:
        """The node's private keys, once all are published; and everyone's.

        The files of those that were retiring before are deleted. Not at once when they begin to: a
        process that has not read them yet may still be told that the node signs with them.
        """
        private = self._folder.read()
        known = publish(self._engine, private, self._now())
        for kid in private:
            if known[kid].expires_at:
                self._folder.remove(kid)
        return private, known

    def _now(self) -> datetime:
        return moment(self._clock())
