"""The table of roles. All changes run one after the other, so that chains of parents stay sound."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import roles
from scopebound_engine.errors import ConflictError, InputError, NotFoundError
from scopebound_engine.role.fields import RoleChanges, RoleFields
from scopebound_engine.role.inheritance import MAX_CHAIN, check_chain
from scopebound_engine.role.model import Role
from scopebound_engine.times import moment

_LOCK: Final = "roles"

Check = Callable[[Sequence[Role]], None]


def _any(_chain: Sequence[Role]) -> None:
    """Takes every role."""


class RoleStore:
    """Roles in the database. Every method raises DatabaseUnavailableError when it is away."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._engine, self._clock, self._new_id = engine, clock, new_id

    def create(self, fields: RoleFields, check: Check = _any) -> Role:
        """A new role, at revision 1.

        `check` sees it with its ancestors, as `chain` gives them; what it raises undoes the
        creation. Raises ConflictError when the name is taken, InputError when its parent will not
        do.
        """
        role_id, now = self._new_id(), moment(self._clock())
        try:
            with transaction(self._engine, lock=_LOCK) as connection:
                row = _columns(connection, role_id, fields)
                row |= {"id": role_id, "revision": 1, "created_at": now, "updated_at": now}
                connection.execute(insert(roles).values(row))
                return _checked(connection, role_id, check)
        except IntegrityError as error:
            raise ConflictError(
                f"a role named {fields.name!r} exists already; "
                "change it with PUT, or choose another name"
            ) from error

    def update(self, role_id: str, changes: RoleChanges, check: Check = _any) -> tuple[Role, Role]:
        """The role before the change and after it, one revision on; `check` as in `create`.

        Raises NotFoundError, InputError when the change or a new parent will not do.
        """
        with transaction(self._engine, lock=_LOCK) as connection:
            role = _require(connection, role_id)
            changed = _columns(connection, role.id, changes.applied_to(role))
            changed |= {"revision": role.revision + 1, "updated_at": moment(self._clock())}
            connection.execute(update(roles).where(roles.c.id == role.id).values(changed))
            return role, _checked(connection, role.id, check)

    def suspend(self, role_id: str, reason: str) -> Role:
        """The role, out of force from now on; again, with another reason. Raises NotFoundError.

        It cannot be provisioned, and every enforce call of its live sessions that begins once this
        has returned is denied, on every node. Roles below it stay in force, and with them what they
        inherit: to stop those too, suspend each.
        """
        return self._set_suspension(role_id, reason)

    def resume(self, role_id: str) -> Role:
        """The role, in force again, with those of its sessions that live. Raises NotFoundError."""
        return self._set_suspension(role_id, None)

    def delete(self, role_id: str) -> Role:
        """The role that was; its live sessions are denied like those of a suspended one.

        Raises NotFoundError, ConflictError while other roles name it as their parent.
        """
        with transaction(self._engine, lock=_LOCK) as connection:
            role = _require(connection, role_id)
            below = select(roles.c.name).where(roles.c.parent_id == role.id).order_by(roles.c.name)
            children = connection.execute(below).scalars().all()
            if children:
                raise ConflictError(
                    f"the role {role.name!r} is the parent of {', '.join(map(repr, children))}; "
                    "give them another parent, or delete them first"
                )
            connection.execute(delete(roles).where(roles.c.id == role.id))
            return role

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
        with reading(self._engine) as connection:
            return _chain(connection, role)

    def below(self, role_id: str) -> tuple[str, ...]:
        """The ids of the roles that inherit from this one, directly or not."""
        with reading(self._engine) as connection:
            parent_of = {each.id: each.parent_id for each in connection.execute(_PARENTS)}
        found = [role_id]
        for above in found:
            found += [child for child, parent in parent_of.items() if parent == above]
        return tuple(found[1:])

    def _set_suspension(self, role_id: str, reason: str | None) -> Role:
        with transaction(self._engine, lock=_LOCK) as connection:
            role = _require(connection, role_id)
            changed = {"suspended_reason": reason, "updated_at": moment(self._clock())}
            connection.execute(update(roles).where(roles.c.id == role.id).values(changed))
            return _require(connection, role.id)


def _chain(connection: Connection, role: Role) -> tuple[Role, ...]:
    found = [role]
    while found[-1].parent_role_id and len(found) < MAX_CHAIN:
        found.append(_require(connection, found[-1].parent_role_id))
    return tuple(found)


def _checked(connection: Connection, role_id: str, check: Check) -> Role:
    role = _require(connection, role_id)
    check(_chain(connection, role))
    return role


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
        suspended_reason=row.suspended_reason,
    )
