"""The nodes' signing keys: each signs with its own, and verifies by the public keys of all.

The private key stays in the node's data folder; the public half is published in the database. A
key's id is its RFC 7638 thumbprint. Every process looks again at both every few seconds, and at
once for a key id that it does not know: a key is published before anything is signed with it.
"""

import base64
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Engine

from scopebound_engine import baton, budget
from scopebound_engine.errors import (
    ConfigError,
    DatabaseUnavailableError,
    LateCallError,
    SigningKeyError,
)
from scopebound_engine.session.keys.folder import KeyFolder, PrivateKeys
from scopebound_engine.session.keys.node import NodeKeys
from scopebound_engine.session.keys.published import PublishedKeys, published, signing
from scopebound_engine.times import moment

ALGORITHM: Final = "RS256"
# How long a process may go on with what it knows: a key may be new, or withdrawn.
LOOK_SECONDS: Final = 3.0
_KEY_SET_SECONDS: Final = 1.0
_AWAY_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 0.5

log = structlog.get_logger()


class SigningKeys:
    """This node's private key and everyone's public ones. Safe for use by many threads."""

    def __init__(
        self,
        engine: Engine,
        folder: KeyFolder,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._engine, self._folder = engine, folder
        self._clock, self._monotonic = clock, monotonic
        self._turn = threading.Lock()
        self._private: PrivateKeys = {}
        self._published: PublishedKeys = {}
        self._looked_at = -math.inf
        self._away: tuple[float, str] | None = None

    @classmethod
    def open(
        cls,
        engine: Engine,
        data_dir: Path,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Self:
        """The node's keys, made and published if there are none yet.

        Raises ConfigError for a key file that will not do, DatabaseUnavailableError.
        """
        folder = KeyFolder(data_dir)
        NodeKeys(engine, folder, clock).ensure()
        keys = cls(engine, folder, clock, monotonic)
        keys._look()
        return keys

    def current(self) -> tuple[str, rsa.RSAPrivateKey]:
        """The id and private key that this node signs with: its newest that is not retiring.

        Raises SigningKeyError when all were withdrawn while it ran.
        """
        self._look_after(LOOK_SECONDS)
        # In this order: `_look` sets the private keys first.
        known, private = self._published, self._private
        own = signing(known, private)
        if not own:
            raise SigningKeyError(
                "this node's signing key was withdrawn; restart it to make a new one"
            )
        newest = max(own, key=lambda key: (key.not_before, key.kid))
        return newest.kid, private[newest.kid]

    def public(self, kid: str) -> rsa.RSAPublicKey | None:
        """The public key of this id, None when no node has it or it has expired.

        Raises DatabaseUnavailableError when the key is not known here and the database is away.
        """
        if kid not in self._published:
            self._look_now()
        else:
            self._look_after(LOOK_SECONDS)
        key = self._published.get(kid)
        if key is None or (key.expires_at and key.expires_at <= moment(self._clock())):
            return None
        return key.public

    def jwks(self) -> dict[str, Any]:
        """The public keys that tokens may be signed with, as a JWK set (RFC 7517)."""
        self._look_after(_KEY_SET_SECONDS)
        now = moment(self._clock())
        keys = sorted(self._published.values(), key=lambda key: (key.not_before, key.kid))
        return {
            "keys": [
                {**_jwk(key.public), "use": "sig", "alg": ALGORITHM, "kid": key.kid}
                for key in keys
                if key.expires_at is None or key.expires_at > now
            ]
        }

    def _look_now(self) -> None:
        """Look unless that was done since the call came: threads that wait share one look."""
        came = self._monotonic()
        with baton.lent():
            is_mine = self._turn.acquire(timeout=budget.left(_TURN_SECONDS))
        if not is_mine:
            raise DatabaseUnavailableError("the signing keys are looked up too slowly; try again")
        try:
            if self._away and self._monotonic() - self._away[0] < _AWAY_SECONDS:
                raise DatabaseUnavailableError(self._away[1])
            if self._looked_at <= came:
                self._look()
        finally:
            self._turn.release()

    def _look_after(self, seconds: float) -> None:
        """One thread looks, the others go on. While that fails, what is known counts."""
        if self._monotonic() - self._looked_at < seconds:
            return
        if self._turn.acquire(blocking=False):
            try:
                self._look()
            except (DatabaseUnavailableError, LateCallError, ConfigError) as error:
                log.warning("signing keys not read again; the known ones count", reason=str(error))
            finally:
                self._turn.release()

    def _look(self) -> None:
        before, self._looked_at = self._looked_at, self._monotonic()
        try:
            known = published(self._engine, self._published)
        except (DatabaseUnavailableError, LateCallError) as error:
            now = self._monotonic()
            if isinstance(error, LateCallError) or budget.cut_short(now - self._looked_at):
                self._looked_at = before  # or others would go by what was not read
            else:
                self._away = (now, str(error))
            raise
        self._away = None
        # The table before the folder: of each key of this node that is published the file is there.
        try:
            self._private = self._folder.read()
        except ConfigError as error:
            log.error("signing key not read; the known ones count", reason=str(error))
        self._published = known


def _jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"kty": "RSA", "e": _unsigned(numbers.e), "n": _unsigned(numbers.n)}


def _unsigned(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
