"""The bundles that past decisions were made with, by the SHA-256 that their records name."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from scopebound_engine.bundle.signature import VerifiedBundle, verify
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.errors import ConfigError, NotFoundError

# Looks in one place for the bytes of a checksum. What it answers is not yet believed.
Place = Callable[[str], bytes | None]


class Shelf:
    """Finds bundles in several places, one after another."""

    def __init__(self, places: Sequence[Place], trusted: Callable[[], TrustedKeys]) -> None:
        """`trusted` reads the keys whose bundles are believed."""
        self._places, self._trusted = places, trusted

    def bundle(self, checksum: str, at: datetime) -> VerifiedBundle:
        """The bundle of this checksum, verified as one that was in force at that moment.

        Raises NotFoundError where nobody has its bytes any more, BundleError where it is not to be
        believed, ConfigError for the keys, and what the places raise.
        """
        for look in self._places:
            data = look(checksum)
            if data is not None and hashlib.sha256(data).hexdigest() == checksum:
                return verify(data, self._trusted(), at=at, in_force=True)
        raise NotFoundError(f"nobody has the bytes of the bundle {checksum} any more")


def among(files: Iterable[Path]) -> Place:
    """A place: these files. Raises ConfigError where one cannot be read."""
    held: dict[str, bytes] = {}
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
        held[hashlib.sha256(data).hexdigest()] = data
    return held.get
