"""The table of roles. All changes run one after the other, so that chains of parents stay sound."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import moment, roles
from scopebound_engine.errors import ConflictError, InputError, NotFoundError
from scopebound_engine.role.inheritance import MAX_CHAIN, check_chain
from scopebound_engine.role.model import Role, RoleChanges, RoleFields

_LOCK: Final = "roles"


class RoleStore:
    """Roles in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._engine, self._clock, self._new_id = engine, clock, new_id

    def create(self, fields: RoleFields) -> Role:
        """A new role, at revision 1.

        Raises ConflictError when the name is taken, InputError when its parent will not do.
        """
        role_id, now = self._new_id(), moment(self._clock())
        try:
            with transaction(self._engine, lock=_LOCK) as connection:
                row = _columns(connection, role_id, fields)
                row |= {"id": role_id, "revision": 1, "created_at": now, "updated_at": now}
                connection.execute(insert(roles).values(row))
                return _require(connection, role_id)
        except IntegrityError as error:
            raise ConflictError(
                f"a role named {fields.name!r} exists already; "
                "change it with PUT, or choose another name"
            ) from error

    def update(self, role_id: str, changes: RoleChanges) -> Role:
        """The role after the change, one revision on.

        Raises NotFoundError, InputError when the change or a new parent will not do.
        """
        with transaction(self._engine, lock=_LOCK) as connection:
            role = _require(connection, role_id)
            changed = _columns(connection, role.id, changes.applied_to(role))
            changed |= {"revision": role.revision + 1, "updated_at": moment(self._clock())}
            connection.execute(update(roles).where(roles.c.id == role.id).values(changed))
            return _require(connection, role.id)

    def get(self, role_id: str) -> Role:
        """The role of this UUID. Raises NotFoundError."""
        with reading(self._engine) as connection:
            return _require(connection, role_id)

    def by_name(self, name: str) -> Role:
        """The role of this name. Raises NotFoundError."""
        with reading(self._engine) as connection:
            row = connection.execute(select(roles).where(roles.c.name == name)).one_or_none()
        if row is None:
            raise NotFoundError(
                f"there is no role named {name!r}; create it with POST /mgmt/v1/roles, "
                "or check the spelling: names are case-sensitive"
            )
        return _role(row)

    def list(self) -> tuple[Role, ...]:
        """All roles, by name."""
        with reading(self._engine) as connection:
            return tuple(map(_role, connection.execute(select(roles).order_by(roles.c.name))))

    def chain(self, role: Role) -> tuple[Role, ...]:
        """The role, its parent and its grandparent, as far as there are any."""
        found = [role]
        with reading(self._engine) as connection:
            while found[-1].parent_role_id and len(found) < MAX_CHAIN:
                found.append(_require(connection, found[-1].parent_role_id))
        return tuple(found)


def _columns(connection: Connection, role_id: str, fields: RoleFields) -> dict[str, Any]:
    """What is stored of the fields; the parent, named by UUID or name, is checked."""
    parent_id = _parent_id(connection, fields.parent_role_id) if fields.parent_role_id else None
    parent_of = {each.id: each.parent_id for each in connection.execute(_PARENTS)}
    check_chain(role_id, parent_id, parent_of)
    document = fields.document() | {"parent_role_id": parent_id or ""}
    return {"name": fields.name, "parent_id": parent_id, "fields": document}


_PARENTS: Final = select(roles.c.id, roles.c.parent_id)


def _parent_id(connection: Connection, reference: str) -> str:
    # No name has the shape of a UUID, so at most one role fits.
    fits = (roles.c.id == reference.lower()) | (roles.c.name == reference)
    parent_id: str | None = connection.execute(select(roles.c.id).where(fits)).scalar_one_or_none()
    if parent_id is None:
        raise InputError(
            "parent_role_id", f"no role has the UUID or name {reference!r}; create the parent first"
        )
    return parent_id


def _require(connection: Connection, role_id: str) -> Role:
    row = connection.execute(select(roles).where(roles.c.id == role_id.lower())).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no role with the id {role_id}; GET /mgmt/v1/roles lists them all"
        )
    return _role(row)


def _role(row: Row[Any]) -> Role:
    return Role(
        **row.fields,
        id=row.id,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
