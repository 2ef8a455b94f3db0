"""What a role file changes on a server: compared, shown field by field, and put in an order.

Nothing here asks a server. Roles are never deleted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from scopebound_engine.cli.role_file import DEFAULTS, HIDDEN, Entry, RoleFileError, said
from scopebound_engine.cli.terminal import printable
from scopebound_engine.errors import InputError
from scopebound_engine.role.inheritance import check_chain
from scopebound_engine.role.model import HINT_LENGTH
from scopebound_engine.role.values import is_uuid

Mark = Literal["+", "~", "="]

_PARENT: Final = "parent_role_id"
# Fields that are shown part by part: a constraint that changed should not hide among many.
_OF_PARTS: Final = ("data_scope", "parameter_constraints", "mcp_server_rate_limits")
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Present:
    """A role that is on the server: its fields as `canonical` has them, the parent by name."""

    id: str
    fields: Mapping[str, Any]
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One role: created (+), changed (~) or unchanged (=).

    `body` is what POST or PUT is sent, `lines` what a reader is shown of it.
    """

    mark: Mark
    entry: Entry
    role_id: str
    body: Mapping[str, Any] = field(repr=False)
    lines: tuple[str, ...] = ()


def present_roles(answered: Sequence[Mapping[str, Any]]) -> dict[str, Present]:
    """Roles by name, of those that GET /mgmt/v1/roles answers to a key which manages roles."""
    names = {role["id"]: role["name"] for role in answered}
    found = {}
    for role in answered:
        fields = {name: role.get(name, default) for name, default in DEFAULTS.items()}
        fields[_PARENT] = names.get(fields[_PARENT], fields[_PARENT])
        hint = role.get(f"{HIDDEN}_hint", "")
        found[role["name"]] = Present(role["id"], fields, hint)
    return found


def plan(entries: Sequence[Entry], present: Mapping[str, Present]) -> tuple[Step, ...]:
    """What makes the server's roles those of the file, each parent before its children.

    Raises RoleFileError for parents that there are not, and for chains that may not be.
    """
    names = {role.id: name for name, role in present.items()}
    steps = [_step(_with_parent_by_name(entry, names), present) for entry in entries]
    _check_parents(steps, present)
    return tuple(_in_order(steps, _parents(present)))


def _with_parent_by_name(entry: Entry, names: Mapping[str, str]) -> Entry:
    parent = entry.fields[_PARENT]
    if is_uuid(parent):
        parent = names.get(parent.lower(), parent)
    return Entry(entry.place, {**entry.fields, _PARENT: parent}, entry.secret)


def _step(entry: Entry, present: Mapping[str, Present]) -> Step:
    before = present.get(entry.name)
    if before is None:
        body = said(entry.fields) | ({HIDDEN: entry.secret} if entry.secret else {})
        lines = [*_differences({}, said(entry.fields)), *_secret_line(entry.secret, "")]
        return Step("+", entry, "", body, tuple(lines))
    changed = {
        name: value for name, value in entry.fields.items() if not _same(value, before.fields[name])
    }
    lines = [*_differences(before.fields, changed), *_secret_line(entry.secret, before.hint)]
    if _is_new(entry.secret, before.hint):
        changed[HIDDEN] = entry.secret
    return Step("~" if changed else "=", entry, before.id, changed, tuple(lines))


def _is_new(secret: str | None, hint: str) -> bool:
    """Whether a secret is another than the server's, as far as the hint tells."""
    return secret is not None and hint != (f"{secret[:HINT_LENGTH]}***" if secret else "")


def _secret_line(secret: str | None, hint: str) -> Iterator[str]:
    if _is_new(secret, hint):
        yield f"{HIDDEN}: {'set' if secret else 'removed'} (never shown)"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """One line for each value that changed, or for each entry of a list that came or went."""
    for name, value in after.items():
        if name == "name":
            continue
        if name not in _OF_PARTS:
            yield from _difference(name, before.get(name, _ABSENT), value)
            continue
        was = before.get(name, {})
        for part in dict.fromkeys([*was, *value]):
            path = f"{name}.{part}"
            yield from _difference(path, was.get(part, _ABSENT), value.get(part, _ABSENT))


def _difference(path: str, before: Any, after: Any) -> Iterator[str]:
    if _same(before, after):
        return
    if isinstance(before, list) and isinstance(after, list):
        gone = [entry for entry in before if not _among(entry, after)]
        come = [entry for entry in after if not _among(entry, before)]
        yield f"{path}:" if gone or come else f"{path}: in another order, {_shown(after)}"
        yield from (f"  - {_shown(entry)}" for entry in gone)
        yield from (f"  + {_shown(entry)}" for entry in come)
    elif before is _ABSENT:
        yield f"{path}: {_shown(after)}"
    else:
        gone_to = "(removed)" if after is _ABSENT else _shown(after)
        yield f"{path}: {_shown(before)} -> {gone_to}"


def _same(one: Any, other: Any) -> bool:
    # Compared as JSON, because Python takes 1 and true for equal.
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _among(entry: Any, entries: Sequence[Any]) -> bool:
    return any(_same(entry, each) for each in entries)


def _shown(value: Any) -> str:
    """A value as JSON, fit for a terminal."""
    return printable(json.dumps(value, ensure_ascii=False))


def _parents(present: Mapping[str, Present]) -> dict[str, str]:
    return {name: role.fields[_PARENT] for name, role in present.items()}


def _check_parents(steps: Sequence[Step], present: Mapping[str, Present]) -> None:
    """Refuses what the server would, before the first change: as things are to be in the end."""
    parents = _parents(present) | {step.entry.name: step.entry.fields[_PARENT] for step in steps}
    findings = []
    for step in steps:
        parent = step.entry.fields[_PARENT]
        if parent and parent not in parents:
            mistake = f"no role on the server or in the file is {_shown(parent)}"
            findings.append(step.entry.finding(_PARENT, mistake))
            continue
        try:
            check_chain(step.entry.name, parent, parents)
        except InputError as error:
            findings.append(step.entry.finding(error.field, error.detail))
    if findings:
        raise RoleFileError("the roles are refused; nothing was changed", findings)


def _in_order(steps: Sequence[Step], parents: dict[str, str]) -> Iterator[Step]:
    """The steps, each when the server's rules for chains let it come: `parents` is as things are.

    Otherwise the file's order is kept. One step may always come: those without a parent at any
    time, and below them whatever no longer carries too much.
    """
    waiting = list(steps)
    while waiting:
        step = next(step for step in waiting if _may_come(step, parents))
        waiting.remove(step)
        parents[step.entry.name] = step.entry.fields[_PARENT]
        yield step


def _may_come(step: Step, parents: Mapping[str, str]) -> bool:
    parent = step.entry.fields[_PARENT]
    if parent and parent not in parents:
        return False
    try:
        check_chain(step.entry.name, parent, parents)
    except InputError:
        return False
    return True
