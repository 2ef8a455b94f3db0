"""Another role: one that grants what was asked, and no more than that."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.author.explaining.candidates.arguments import satisfied
from scopebound_engine.author.explaining.candidates.change import Change, role, shown
from scopebound_engine.author.explaining.world import REMOVED, Document, Edit, at, rules

_HOURS: Final = 24
_WIDER: Final = 1.0
_DROPPED: Final = 1.5


def changes(document: Document) -> Iterator[Change]:
    """Fields of the role that keep from this call what it asked for."""
    claims = document["claims"]
    yield from _listed(("allowed_tools",), claims, document["tool_name"])
    yield from _listed(("bound", "allowed_mcp_servers"), claims, document["mcp_server"])
    yield from _approval(document)
    yield from _environments(document)
    yield from _rows(document)
    yield from _hours(document)
    yield from _listed(("allowed_days",), claims, document["now"]["weekday"], is_all_if_empty=True)
    yield from _depth(document)
    for index, rule in enumerate(rules(document)):
        yield from _constraint(document, rule, index)
    yield from _child(document)


def _listed(
    path: tuple[str, ...], claims: Mapping[str, Any], value: Any, *, is_all_if_empty: bool = False
) -> Iterator[Change]:
    """Add a value to a list of the role."""
    listed = at(claims, path)
    if not isinstance(listed, list) or value is None or value in listed:
        return
    if is_all_if_empty and not listed:
        return
    name = _role_name(path)
    after = sorted([*listed, value]) if type(value) is int else [*listed, value]
    yield from role(
        name, listed, after, f"add {shown(value)} to the role's {name}", _claim(path, after)
    )


def _approval(document: Document) -> Iterator[Change]:
    path, tool = ("bound", "approval_required"), document["tool_name"]
    listed = at(document["claims"], path)
    if isinstance(listed, list) and tool in listed:
        after = [one for one in listed if one != tool]
        says = f"take {shown(tool)} out of the role's approval_required"
        yield from role("approval_required", listed, after, says, _claim(path, after))


def _environments(document: Document) -> Iterator[Change]:
    actual = at(document, ("call_args", "env"))
    if isinstance(actual, str):
        yield from _listed(
            ("data_scope", "allowed_envs"), document["claims"], actual, is_all_if_empty=True
        )


def _rows(document: Document) -> Iterator[Change]:
    path = ("data_scope", "max_rows")
    most, actual = at(document["claims"], path), at(document, ("call_args", "limit"))
    if type(most) is int and most > 0 and type(actual) is int and actual > most:
        says = f"raise the role's data_scope.max_rows from {most} to {actual}"
        yield from role("data_scope.max_rows", most, actual, says, _claim(path, actual))


def _hours(document: Document) -> Iterator[Change]:
    claims, hour = document["claims"], document["now"]["hour"]
    start, end = claims.get("allowed_hours_start"), claims.get("allowed_hours_end")
    if type(start) is not int or type(end) is not int or start == end == 0:
        return
    later, earlier = (hour + 1 - end) % _HOURS, (start - hour) % _HOURS
    new = (start, (hour + 1) % _HOURS) if later <= earlier else (hour, end)
    for cost, (first, last) in ((_WIDER, new), (_DROPPED, (0, 0))):
        if first == last != 0:
            continue
        says = f"let the role's hours be {first} to {last}, not {start} to {end}"
        edits = (
            _claim(("allowed_hours_start",), first),
            _claim(("allowed_hours_end",), last),
        )
        yield from role("allowed_hours", [start, end], [first, last], says, *edits, cost=cost)


def _depth(document: Document) -> Iterator[Change]:
    left = document["claims"].get("delegation_depth_remaining")
    if document["action"] == "delegate" and type(left) is int and left < 1:
        says = "let the session's role delegate (max_delegation_depth)"
        yield from role(
            "max_delegation_depth", left, 1, says, _claim(("delegation_depth_remaining",), 1)
        )


def _constraint(document: Document, rule: Mapping[str, Any], index: int) -> Iterator[Change]:
    """Relax a constraint that is not met, or drop it."""
    entries = document["constraints"]
    found = [one for one in entries if all(one.get(key) == rule[key] for key in ("field", "value"))]
    unmet = [one for one in found if one["operator"] == rule["operator"] and not satisfied(one)]
    if not unmet:
        return
    all_of = rules(document)
    name = f"parameter_constraints.{document['tool_name']}"
    told = f"{rule['field']} {rule['operator']} {shown(rule['value'])}"
    for value in _relaxed(rule, unmet[0]):
        changed = [*all_of[:index], {**rule, **value}, *all_of[index + 1 :]]
        says = f"let the role's constraint {told} have {_words(value)}"
        yield from role(name, all_of, changed, says, Edit(("constraints",), _open(changed)))
    without = [*all_of[:index], *all_of[index + 1 :]]
    says = f"drop the role's constraint {told}"
    edit = Edit(("constraints",), _open(without))
    yield from role(name, all_of, without, says, edit, cost=_DROPPED)


def _relaxed(rule: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    actual = entry.get("actual", REMOVED)
    if entry["present"] is False:
        yield {"required": False}
    elif actual is REMOVED:
        return
    elif rule["operator"] in ("lt", "gt") and type(actual) in (int, float):
        side = 1 if rule["operator"] == "lt" else -1
        yield {"value": (math.floor(actual) if side > 0 else math.ceil(actual)) + side}
    elif rule["operator"] == "in" and isinstance(rule["value"], list):
        yield {"value": [*rule["value"], actual]}
    elif rule["operator"] == "eq":
        yield {"value": actual}


def _words(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(item)}" for name, item in value.items())


def _open(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Constraints without what the engine found, which is found anew."""
    return [dict(rule) for rule in found]


def _child(document: Document) -> Iterator[Change]:
    asked, held = at(document, ("child", "allowed_tools")), document["claims"].get("allowed_tools")
    if isinstance(asked, list) and isinstance(held, list):
        excess = [tool for tool in asked if tool not in held]
        if excess:
            after = [*held, *excess]
            says = f"add {shown(excess)} to the tools of the session's role"
            yield from role("allowed_tools", held, after, says, _claim(("allowed_tools",), after))


def _claim(path: Sequence[str], value: Any) -> Edit:
    return Edit(("claims", *path), value)


def _role_name(path: tuple[str, ...]) -> str:
    """How a role calls what a token has at this path."""
    return ".".join(path[1:] if path[0] == "bound" else path)
