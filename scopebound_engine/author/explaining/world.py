"""Facts after a change, made anew by the code that makes them for every call.

What a change touches is an argument, the tool, a claim, the time, the session. What follows from
it, the service says: which constraint finds what, whether a pattern matches, which hour it is.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.decision import facts
from scopebound_engine.decision.facts import Call
from scopebound_engine.session.state.buckets import UNLIMITED
from scopebound_engine.session.state.seam import SessionFacts
from scopebound_engine.strict_json import dumps

# What the engine adds to a constraint of the role.
_FOUND: Final = frozenset({"present", "fit", "actual", "matched"})
Document = Mapping[str, Any]


class Removed:
    """What is put in the place of something that is to be no more."""


REMOVED: Final = Removed()


@dataclass(frozen=True, slots=True)
class Edit:
    """A value at a place of the facts, or REMOVED. Constraints go by `("constraints",)`, whole."""

    path: tuple[str | int, ...]
    value: Any


def remade(document: Document, edits: Iterable[Edit], matchers: Matchers) -> dict[str, Any]:
    """The facts after these edits. `document` fits the schema, and stays as it is."""
    changed = copy.deepcopy(dict(document))
    for edit in edits:
        _put(changed, edit.path, edit.value)
    call = Call(
        changed["action"],
        changed["tool_name"],
        changed["call_args"],
        changed["call_id"],
        changed["mcp_server"],
    )
    claims = dict(changed["claims"])
    if "constraints" in changed:
        claims["parameter_constraints"] = {changed["tool_name"]: rules(changed)}
    epoch_ms = changed["now"]["epoch_ms"]
    session = SessionFacts(UNLIMITED, UNLIMITED)
    made = facts.build(call, claims, epoch_ms, session, changed.get("child"), matchers)
    # How a session stands only its state can say; and who wrote facts by hand may mean an hour.
    now = changed["now"] if epoch_ms == document["now"]["epoch_ms"] else made["now"]
    settled = made | {"session": changed["session"], "now": now}
    return settled | {"matches": matchers.judge(settled)}


def rules(document: Document) -> list[dict[str, Any]]:
    """The constraints that the role puts on the tool that is called, as far as the facts tell.

    A constraint that found two values has two entries there.
    """
    found = {
        dumps(rule): rule
        for entry in document.get("constraints", ())
        if (rule := {key: entry[key] for key in entry if key not in _FOUND})
    }
    return [{"required": False, "value": None, **rule} for rule in found.values()]


def at(document: Any, path: Sequence[str | int]) -> Any:
    """What stands at a path; REMOVED where nothing does."""
    for step in path:
        is_index = isinstance(document, list) and isinstance(step, int) and step < len(document)
        if not is_index and not (isinstance(document, dict) and step in document):
            return REMOVED
        document = document[step]
    return document


def _put(document: Any, path: Sequence[str | int], value: Any) -> None:
    """Puts a value at a path; objects take the place of what has no keys, and lists never grow."""
    if value is REMOVED and at(document, path) is REMOVED:
        return
    for index, step in enumerate(path[:-1]):
        inside = at(document, (step,))
        if type(path[index + 1]) is int:
            if at(inside, (path[index + 1],)) is REMOVED:
                return
        elif not isinstance(inside, dict):
            inside = document[step] = {}
        document = inside
    last = path[-1]
    if value is REMOVED:
        del document[last]
    else:
        document[last] = copy.deepcopy(value)
