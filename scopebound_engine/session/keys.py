"""The nodes' signing keys: each signs with its own, and verifies by the public keys of all.

The private key stays in the node's data folder; the public half is published in the database. A
key's id is its RFC 7638 thumbprint.
"""

import base64
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Engine, Row, insert, select

from scopebound_engine.bundle.keys import thumbprint
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.lockfile import alone
from scopebound_engine.database.schema import moment, signing_keys
from scopebound_engine.errors import ConfigError, DatabaseUnavailableError

ALGORITHM: Final = "RS256"
KEY_BITS: Final = 2048
# The set is read again for a key id that it lacks: a node may be new, but most are made up.
_UNKNOWN_SECONDS: Final = 1.0
# And again without such a cause: a key may have been withdrawn.
_STALE_SECONDS: Final = 10.0

_PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key that all nodes know. After `expires_at` no token is verified with it."""

    kid: str
    public: rsa.RSAPublicKey
    not_before: datetime
    expires_at: datetime | None


class SigningKeys:
    """This node's private key and everyone's public ones. Safe for use by many threads."""

    def __init__(
        self,
        engine: Engine,
        private: Mapping[str, rsa.RSAPrivateKey],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._engine, self._private = engine, private
        self._clock, self._monotonic = clock, monotonic
        self._turn = threading.Lock()
        self._published: Mapping[str, PublishedKey] = {}
        self._asked_at = -math.inf
        self._failure: str | None = None

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
        folder = data_dir / "keys"
        with alone(folder / ".lock"):
            private = _read_folder(folder)
            published = _publish(engine, private, moment(clock()))
            if not any(kid in private and not key.expires_at for kid, key in published.items()):
                new = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
                _write(folder, new)
                private |= {thumbprint(new.public_key()): new}
                _publish(engine, private, moment(clock()))
        keys = cls(engine, private, clock, monotonic)
        keys._ask()
        return keys

    def current(self) -> tuple[str, rsa.RSAPrivateKey]:
        """The id and private key that this node signs with: its newest that is not withdrawn.

        Raises ConfigError when all were withdrawn while it ran.
        """
        own = [key for key in self._published.values() if key.kid in self._private]
        own = [key for key in own if key.expires_at is None]
        if not own:
            raise ConfigError("this node's signing key was withdrawn; restart it to make a new one")
        newest = max(own, key=lambda key: (key.not_before, key.kid))
        return newest.kid, self._private[newest.kid]

    def public(self, kid: str) -> rsa.RSAPublicKey | None:
        """The public key of this id, None when no node has it or it has expired.

        Raises DatabaseUnavailableError when the key is not known here and the database is away.
        """
        if kid not in self._published:
            self._look_for_new()
        elif self._monotonic() - self._asked_at >= _STALE_SECONDS:
            self._look_for_withdrawn()
        key = self._published.get(kid)
        if key is None or (key.expires_at and key.expires_at <= moment(self._clock())):
            return None
        return key.public

    def jwks(self) -> dict[str, Any]:
        """The public keys that tokens may be signed with, as a JWK set (RFC 7517)."""
        if self._monotonic() - self._asked_at >= _UNKNOWN_SECONDS:
            self._look_for_withdrawn()
        now = moment(self._clock())
        keys = sorted(self._published.values(), key=lambda key: (key.not_before, key.kid))
        return {
            "keys": [
                {**_jwk(key.public), "use": "sig", "alg": ALGORITHM, "kid": key.kid}
                for key in keys
                if key.expires_at is None or key.expires_at > now
            ]
        }

    def _look_for_new(self) -> None:
        with self._turn:
            if self._monotonic() - self._asked_at >= _UNKNOWN_SECONDS:
                self._ask()
            elif self._failure is not None:
                raise DatabaseUnavailableError(self._failure)

    def _look_for_withdrawn(self) -> None:
        """One thread asks, the others go on; while the database is away the known keys count."""
        if self._turn.acquire(blocking=False):
            try:
                self._ask()
            except DatabaseUnavailableError:
                pass
            finally:
                self._turn.release()

    def _ask(self) -> None:
        self._asked_at = self._monotonic()
        try:
            self._published = _published(self._engine)
            self._failure = None
        except DatabaseUnavailableError as error:
            self._failure = str(error)
            raise


def _jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"kty": "RSA", "e": _unsigned(numbers.e), "n": _unsigned(numbers.n)}


def _unsigned(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _published(engine: Engine) -> dict[str, PublishedKey]:
    with reading(engine) as connection:
        rows = connection.execute(select(signing_keys)).all()
    return {row.kid: _published_key(row) for row in rows}


def _published_key(row: Row[Any]) -> PublishedKey:
    public = serialization.load_pem_public_key(row.public_pem.encode("ascii"))
    if not isinstance(public, rsa.RSAPublicKey) or thumbprint(public) != row.kid:
        raise ConfigError(
            f"the table signing_keys holds under {row.kid} a key that is not of this id; delete it"
        )
    return PublishedKey(row.kid, public, row.not_before, row.expires_at)


def _publish(
    engine: Engine, private: Mapping[str, rsa.RSAPrivateKey], now: datetime
) -> Mapping[str, PublishedKey]:
    """What is published once these keys are among it."""
    known = _published(engine)
    rows = [
        {
            "kid": kid,
            "public_pem": key.public_key().public_bytes(_PEM, _SPKI).decode("ascii"),
            "not_before": now,
        }
        for kid, key in private.items()
        if kid not in known
    ]
    if not rows:
        return known
    with transaction(engine) as connection:
        connection.execute(insert(signing_keys), rows)
    return _published(engine)


def _read_folder(folder: Path) -> dict[str, rsa.RSAPrivateKey]:
    keys = [_read(path) for path in sorted(folder.glob("*.pem"))]
    return {thumbprint(key.public_key()): key for key in keys}


def _read(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"cannot read the signing key {path}: {error}; restore it, or move it away: a new one "
            "is made, and sessions signed with the old one stay valid"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise ConfigError(f"{path} is not an RSA key of {KEY_BITS} bits or more; move it away")
    return key


def _write(folder: Path, key: rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{thumbprint(key.public_key())}.pem"
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
