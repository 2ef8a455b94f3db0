"""API keys: their values, how they are stored, and who a secret belongs to.

A key is `sb-` and 256 random bits. Only its SHA-256 is stored: a slow or salted hash would protect
secrets that can be guessed, which these cannot. The hash is what the database looks up, so no
comparison of secrets takes time that depends on them.
"""

import hashlib
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from scopebound_engine.access.remembered import Remembered
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import api_keys, moment
from scopebound_engine.errors import (
    AuthenticationError,
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
)

PREFIX: Final = "sb-"
SCOPES: Final = frozenset({"enforce", "roles", "bundles", "rollback", "audit", "admin"})
ADMIN: Final = "admin"
MIN_ADOPTED_LENGTH: Final = 20
_RANDOM_BYTES: Final = 32
_HINT_LENGTH: Final = 8
_MAX_NAME_LENGTH: Final = 128


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls. `roles` are ids or names of the roles it may provision; none: all of them."""

    id: str
    name: str
    hint: str
    scopes: frozenset[str]
    roles: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None = None


class ApiKeyStore:
    """API keys in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._clock, self._new_id = engine, clock, new_id
        self._known = Remembered(self._look_up, monotonic)

    def create(
        self, name: str, scopes: frozenset[str], roles: tuple[str, ...] = ()
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is not stored and cannot be shown again.

        Raises InputError for a name or scope that will not do, ConflictError for a taken name.
        """
        if not (0 < len(name) <= _MAX_NAME_LENGTH and name.isascii() and name.isprintable()):
            raise InputError("name", f"must be 1 to {_MAX_NAME_LENGTH} printable ASCII characters")
        if not scopes or not scopes <= SCOPES:
            raise InputError("scopes", f"must be at least one of {', '.join(sorted(SCOPES))}")
        secret = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        try:
            return self._insert(name, secret, scopes, roles), secret
        except IntegrityError as error:
            raise ConflictError(
                f"an API key named {name!r} exists already; choose another name: "
                "those of revoked keys stay taken, so that records remain clear"
            ) from error

    def adopt(self, secret: str) -> ApiKey:
        """The admin key with a secret from the configuration, made if it is not there yet.

        Raises ConfigError when the secret will not do or its key was revoked.
        """
        if not secret.startswith(PREFIX) or len(secret) < MIN_ADOPTED_LENGTH:
            raise ConfigError(
                f"SCOPEBOUND_BOOTSTRAP_API_KEY must begin with {PREFIX} and have at least "
                f"{MIN_ADOPTED_LENGTH} characters; leave it out and one is made at the first start"
            )
        hashed = _hash(secret)
        key = self._look_up(hashed)
        if key is None:
            try:
                return self._insert(f"bootstrap-{hashed[:8]}", secret, frozenset({ADMIN}), ())
            except IntegrityError:  # another node was faster
                key = self._look_up(hashed)
        if key is None or key.revoked_at is not None:
            raise ConfigError(
                "SCOPEBOUND_BOOTSTRAP_API_KEY holds a key that was revoked; "
                "set another, or leave it out and use a key made with `keys create`"
            )
        return key

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, revoked ones too, eldest first."""
        with reading(self._engine) as connection:
            ordered = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.name)
            return tuple(map(_key, connection.execute(ordered)))

    def revoke(self, reference: str) -> ApiKey:
        """End the use of the key with this id or name, within a second everywhere.

        Revoking again changes nothing. Raises NotFoundError.
        """
        # A key may be named like another one's id: the id counts.
        fits = (api_keys.c.id == reference) | (api_keys.c.name == reference)
        found = select(api_keys).where(fits).order_by((api_keys.c.id == reference).desc())
        with transaction(self._engine) as connection:
            row = connection.execute(found).first()
            if row is None:
                raise NotFoundError(
                    f"no API key has the id or name {reference!r}; `keys list` shows all"
                )
            if row.revoked_at is not None:
                return _key(row)
            now = moment(self._clock())
            connection.execute(
                update(api_keys).where(api_keys.c.id == row.id).values(revoked_at=now)
            )
        return replace(_key(row), revoked_at=now)

    def authenticate(self, secret: str) -> ApiKey:
        """The key of a secret. Raises AuthenticationError when it is unknown or was revoked."""
        key = self._known.get(_hash(secret)) if secret.startswith(PREFIX) else None
        if key is None or key.revoked_at is not None:
            raise AuthenticationError(
                "the API key is unknown or was revoked; send one made with `keys create`, "
                f"which begins with {PREFIX}"
            )
        return key

    def _insert(
        self, name: str, secret: str, scopes: frozenset[str], roles: tuple[str, ...]
    ) -> ApiKey:
        key = ApiKey(
            self._new_id(), name, secret[:_HINT_LENGTH], scopes, roles, moment(self._clock())
        )
        row = {
            "id": key.id,
            "name": name,
            "hint": key.hint,
            "hash": _hash(secret),
            "scopes": sorted(scopes),
            "roles": list(roles),
            "created_at": key.created_at,
        }
        with transaction(self._engine) as connection:
            connection.execute(insert(api_keys).values(row))
        return key

    def _look_up(self, hashed: str) -> ApiKey | None:
        with reading(self._engine) as connection:
            row = connection.execute(
                select(api_keys).where(api_keys.c.hash == hashed)
            ).one_or_none()
        return None if row is None else _key(row)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        row.hint,
        frozenset(row.scopes),
        tuple(row.roles),
        row.created_at,
        row.revoked_at,
    )
