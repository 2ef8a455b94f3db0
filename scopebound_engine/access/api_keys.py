"""The table of API keys: made, listed and revoked, and who a secret belongs to."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from scopebound_engine.access.model import (
    ADMIN,
    HINT_LENGTH,
    PREFIX,
    SCOPES,
    ApiKey,
    check,
    hash_of,
    new_secret,
)
from scopebound_engine.access.remembered import Remembered
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import api_keys
from scopebound_engine.errors import AuthenticationError, ConfigError, ConflictError, NotFoundError
from scopebound_engine.times import moment

__all__ = ["SCOPES", "ApiKey", "ApiKeyStore"]

MIN_ADOPTED_LENGTH: Final = 20
_LOCK: Final = "api_keys"


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

        Raises InputError for a name, scope or role that will not do, ConflictError for a taken
        name.
        """
        check(name, scopes, roles)
        secret = new_secret()
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
        hashed = hash_of(secret)
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

    def get(self, key_id: str) -> ApiKey:
        """The key of this id. Raises NotFoundError."""
        with reading(self._engine) as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
        if row is None:
            raise _no_such_key(key_id)
        return _key(row)

    def revoke(self, reference: str) -> ApiKey:
        """End the use of the key with this id or name, within a second everywhere.

        Revoking again changes nothing. Raises NotFoundError, ConflictError for the last active
        admin key.
        """
        # A key may be named like another one's id: the id counts.
        fits = (api_keys.c.id == reference) | (api_keys.c.name == reference)
        found = select(api_keys).where(fits).order_by((api_keys.c.id == reference).desc())
        with transaction(self._engine, lock=_LOCK) as connection:
            row = connection.execute(found).first()
            if row is None:
                raise _no_such_key(reference)
            if row.revoked_at is not None:
                return _key(row)
            if ADMIN in row.scopes:
                _require_another_admin(connection, row.id)
            now = moment(self._clock())
            connection.execute(
                update(api_keys).where(api_keys.c.id == row.id).values(revoked_at=now)
            )
        return replace(_key(row), revoked_at=now)

    def record_uses(self, uses: Mapping[str, float]) -> None:
        """Keep when keys were used last, in epoch seconds by id, unless a later time is there."""
        with transaction(self._engine) as connection:
            # In one order everywhere: transactions that wait for each other's rows would deadlock.
            for key_id, used_at in sorted(uses.items()):
                earlier = api_keys.c.last_used_at < moment(used_at)
                connection.execute(
                    update(api_keys)
                    .where(api_keys.c.id == key_id, earlier | api_keys.c.last_used_at.is_(None))
                    .values(last_used_at=moment(used_at))
                )

    def authenticate(self, secret: str) -> ApiKey:
        """The key of a secret. Raises AuthenticationError when it is unknown or was revoked."""
        key = self._known.get(hash_of(secret)) if secret.startswith(PREFIX) else None
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
            self._new_id(), name, secret[:HINT_LENGTH], scopes, roles, moment(self._clock())
        )
        row = {
            "id": key.id,
            "name": name,
            "hint": key.hint,
            "hash": hash_of(secret),
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


def _require_another_admin(connection: Connection, key_id: str) -> None:
    others = select(api_keys.c.scopes).where(
        api_keys.c.id != key_id, api_keys.c.revoked_at.is_(None)
    )
    if not any(ADMIN in scopes for scopes in connection.execute(others).scalars()):
        raise ConflictError(
            "this is the last active key with the scope admin, and without one the API could make "
            "no more; make another first (POST /mgmt/v1/api-keys, or `keys create NAME --scope "
            "admin`), then revoke this one"
        )


def _no_such_key(reference: str) -> NotFoundError:
    return NotFoundError(
        f"no API key has the id or name {reference!r}; "
        "`keys list` and GET /mgmt/v1/api-keys show all"
    )


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        row.hint,
        frozenset(row.scopes),
        tuple(row.roles),
        row.created_at,
        row.last_used_at,
        row.revoked_at,
    )
