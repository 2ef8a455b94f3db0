"""The table of signing keys: the public halves, by which every node verifies every node's tokens.

Rows stay when their key has expired: a private key whose row is missing counts as new.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Engine, Row, insert, select, update

from scopebound_engine.bundle.trust.keys import thumbprint
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import signing_keys
from scopebound_engine.errors import ConfigError

_PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key that all nodes know.

    With `expires_at` nobody signs with it any more, and after that time no token is verified with
    it.
    """

    kid: str
    public: rsa.RSAPublicKey
    not_before: datetime
    expires_at: datetime | None


PublishedKeys = Mapping[str, PublishedKey]


def published(engine: Engine, known: PublishedKeys = MappingProxyType({})) -> PublishedKeys:
    """All keys; those `known` by their id are not parsed again.

    Raises ConfigError for a row whose key is not of its id.
    """
    with reading(engine) as connection:
        rows = connection.execute(select(signing_keys)).all()
    return {
        row.kid: PublishedKey(
            row.kid,
            known[row.kid].public if row.kid in known else _public(row),
            row.not_before,
            row.expires_at,
        )
        for row in rows
    }


def publish(
    engine: Engine,
    private: Mapping[str, rsa.RSAPrivateKey],
    now: datetime,
    *,
    retiring: Collection[str] = (),
    until: datetime | None = None,
) -> PublishedKeys:
    """What is published once the public halves of these keys are.

    In the same transaction the keys `retiring` begin to, and verify `until` then.
    """
    known = published(engine)
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
    former = signing_keys.c.kid.in_(retiring) & signing_keys.c.expires_at.is_(None)
    with transaction(engine) as connection:
        connection.execute(insert(signing_keys), rows)
        connection.execute(update(signing_keys).where(former).values(expires_at=until))
    return published(engine)


def signing(known: PublishedKeys, private: Collection[str]) -> list[PublishedKey]:
    """Those of the `private` keys' ids that a node may sign with."""
    return [key for key in known.values() if key.kid in private and key.expires_at is None]


def _public(row: Row[Any]) -> rsa.RSAPublicKey:
    public = serialization.load_pem_public_key(row.public_pem.encode("ascii"))
    if not isinstance(public, rsa.RSAPublicKey) or thumbprint(public) != row.kid:
        raise ConfigError(
            f"the table signing_keys holds under {row.kid} a key that is not of this id; delete it"
        )
    return public
