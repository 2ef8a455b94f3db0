"""Inheritance of roles: what a chain grants together, and which chains may be.

A chain has at most three roles, grandparent → parent → child. Tools are inherited additively, and
an inherited tool keeps every constraint that an ancestor put on it, and what an ancestor keeps out
of the decision log stays out of it; all else is the role's own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import InputError
from scopebound_engine.matching.anchoring import warnings_for
from scopebound_engine.role.model import Role
from scopebound_engine.role.values import Constraint
from scopebound_engine.strict_json import dumps

MAX_CHAIN: Final = 3

ParentOf = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class EffectiveRole:
    """A role with what its ancestors add to it."""

    role: Role
    allowed_tools: tuple[str, ...]
    parameter_constraints: Mapping[str, tuple[Constraint, ...]]
    log_mask: tuple[str, ...]


def effective(chain: Sequence[Role]) -> EffectiveRole:
    """What `chain` (the role first, then its parent, then its grandparent) grants together.

    Tools and constraints come in the order grandparent's, parent's, own, each once.
    """
    eldest_first = chain[::-1]
    tools = dict.fromkeys(tool for role in eldest_first for tool in role.allowed_tools)
    constrained = dict.fromkeys(
        tool for role in eldest_first for tool in role.parameter_constraints
    )
    return EffectiveRole(
        role=chain[0],
        allowed_tools=tuple(tools),
        parameter_constraints={
            tool: _each_once(
                constraint
                for role in eldest_first
                for constraint in role.parameter_constraints.get(tool, ())
            )
            for tool in constrained
        },
        log_mask=tuple(dict.fromkeys(mask for role in eldest_first for mask in role.log_mask)),
    )


def _each_once(constraints: Iterable[Constraint]) -> tuple[Constraint, ...]:
    # Compared as JSON, because Python takes 1 and true for equal.
    return tuple({dumps(each.model_dump(mode="json")): each for each in constraints}.values())


def check_chain(role_id: str, parent_id: str | None, parent_of: ParentOf) -> None:
    """Refuses a parent that would close a circle or make a chain of more than three roles.

    `parent_of` maps the id of every stored role to its parent's (None or empty: no parent); a role
    that is about to be created need not be in it. Roles below `role_id` count, so a chain cannot be
    deepened from above. Raises InputError on `parent_role_id`.
    """
    if not parent_id:
        return
    above = _ancestors(parent_id, parent_of)
    if role_id in above:
        raise InputError(
            "parent_role_id",
            "would close a circle: the parent is the role itself or descends from it",
        )
    length = len(above) + 1 + _height(role_id, parent_of)
    if length > MAX_CHAIN:
        raise InputError(
            "parent_role_id",
            f"would make a chain of {length} roles; grandparent, parent and child are the most:"
            " choose a parent that is nearer to the top",
        )


def _ancestors(role_id: str, parent_of: ParentOf) -> list[str]:
    """The role and all above it, up to where stored roles (wrongly) repeat."""
    found: list[str] = []
    current: str | None = role_id
    while current and current not in found:
        found.append(current)
        current = parent_of.get(current)
    return found


def _height(role_id: str, parent_of: ParentOf) -> int:
    """How many generations stand below the role; callers have ruled out circles through it."""
    height, generation = 0, {role_id}
    while generation := {child for child, parent in parent_of.items() if parent in generation}:
        height += 1
    return height


def warnings_of(granted: EffectiveRole) -> list[str]:
    """What is accepted in a role although it may not do what its author expects."""
    role = granted.role
    found = [
        f"parameter_constraints.{tool}.{sentence}"
        for tool, constraints in granted.parameter_constraints.items()
        for sentence in warnings_for(constraints)
    ]
    found += [
        f"parameter_constraints.{tool}: constrains a tool that the role does not allow"
        for tool in granted.parameter_constraints
        if tool not in granted.allowed_tools
    ]
    if role.allowed_hours_start > role.allowed_hours_end > 0:
        found.append(
            f"allowed_hours_start {role.allowed_hours_start} is after allowed_hours_end"
            f" {role.allowed_hours_end}: the window reaches over midnight UTC, and allowed_days"
            " names the day of each call, not the one on which the window began"
        )
    if role.webhook_url and not role.webhook_secret:
        found.append(
            "webhook_secret: is not set, so that webhooks are sent without a signature, and who"
            " receives them cannot tell who sent them"
        )
    return found
