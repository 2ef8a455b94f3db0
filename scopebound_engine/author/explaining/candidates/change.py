"""Change: one thing that somebody can do about a denial."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Final, Literal

from scopebound_engine import strict_json
from scopebound_engine.author.explaining.world import REMOVED, Document, Edit, at
from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleChanges

Kind = Literal["argument", "delegation", "mcp_server", "tool", "wait", "provision", "role"]

# Who can do it: whoever calls, at once or later, or else whoever grants the role.
LEVELS: Final[dict[Kind, int]] = {
    "argument": 0,
    "delegation": 0,
    "mcp_server": 0,
    "tool": 1,
    "wait": 2,
    "provision": 3,
    "role": 4,
}
_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done, in words, and what it is done to: `target`, such as `call_args.limit`.

    `before` and `after` are None for what is not there, which `removes` or `adds` tells apart from
    null. `cost` ranks changes of one kind. `assumes` is what cannot be known from the facts.
    """

    kind: Kind
    target: str
    before: Any
    after: Any
    says: str
    adds: bool = False
    removes: bool = False
    assumes: str = ""
    cost: float = field(default=1.0, repr=False)
    edits: tuple[Edit, ...] = field(default=(), repr=False)

    @property
    def level(self) -> int:
        """Who can do it; the lowest first."""
        return LEVELS[self.kind]


def argument(
    document: Document, path: Sequence[str | int], value: Any, cost: float = 1.0
) -> Change:
    """Another value of an argument, or none."""
    steps = ("call_args", *path)
    before = at(document, steps)
    target = ".".join(map(str, steps))
    if value is REMOVED:
        says = f"leave out {target} (it is {shown(before)})"
    elif before is REMOVED:
        says = f"give {target}: {shown(value)}"
    else:
        says = f"set {target} to {shown(value)} (it is {shown(before)})"
    return Change(
        "argument",
        target,
        None if before is REMOVED else before,
        None if value is REMOVED else value,
        says,
        adds=before is REMOVED,
        removes=value is REMOVED,
        cost=cost,
        edits=(Edit(steps, value),),
    )


def role(
    name: str, before: Any, after: Any, says: str, *edits: Edit, cost: float = 1.0
) -> Iterator[Change]:
    """Another value of a field of the role, which counts from the next session on.

    Nothing where no role can have it.
    """
    try:
        parse(RoleChanges, _body(name, after))
    except InputError:
        return
    says = f"{says}, and provision again"
    yield Change("role", f"role.{name}", before, after, says, cost=cost, edits=edits)


def _body(name: str, value: Any) -> dict[str, Any]:
    """What changes a role so over the API."""
    if name == "allowed_hours":
        return {"allowed_hours_start": value[0], "allowed_hours_end": value[1]}
    field, _, inside = name.partition(".")
    return {field: {inside: value} if inside else value}


def shown(value: Any) -> str:
    """A value for a sentence."""
    text = strict_json.dumps(value).decode()
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"


def closest(choices: Sequence[Any], value: Any) -> list[Any]:
    """The choices, those that look most like the value first."""
    text = str(value)[:200]

    def unlike(choice: Any) -> float:
        return -SequenceMatcher(None, text, str(choice)[:200]).ratio()

    return sorted(choices[:100], key=unlike)
