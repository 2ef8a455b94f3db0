"""Roles as they are stored and answered."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import AwareDatetime

from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.values import Reason, Values
from scopebound_engine.times import timestamp

HINT_LENGTH: Final = 8


class Role(RoleFields):
    """A stored role. `parent_role_id` is the parent's UUID, or empty; times are in UTC.

    `revision` counts changes of its fields. `suspended_reason` is None while it is in force.
    """

    id: str
    revision: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    suspended_reason: str | None = None


class Suspension(Values):
    """The body of a suspension or of its end: why, for those who find the role so."""

    reason: Reason = ""


def role_response(role: Role, warnings: Sequence[str] | None = None) -> dict[str, Any]:
    """A role as the API answers it: the reference's fields, and `warnings` after a change.

    The webhook secret is left out for its hint; a constraint has `required` only when set.
    """
    answer = role.document()
    secret = answer.pop("webhook_secret")
    answer |= {
        "id": role.id,
        "default_ttl": role.default_ttl_seconds,
        "parameter_constraints": {
            tool: [constraint.model_dump(mode="json", exclude_defaults=True) for constraint in all_]
            for tool, all_ in role.parameter_constraints.items()
        },
        "webhook_secret_hint": f"{secret[:HINT_LENGTH]}***" if secret else "",
        "suspended": role.suspended_reason is not None,
        "suspended_reason": role.suspended_reason,
        "created_at": timestamp(role.created_at),
        "updated_at": timestamp(role.updated_at),
    }
    return answer if warnings is None else answer | {"warnings": list(warnings)}
