"""Conditions of violations that are quiet about a call their author may have meant: warnings.

They fail where an argument is absent or of another kind, or where a table has no entry; that is
right if it is meant, and an allow by mistake if it is not. What another rule denies is not told.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.bodies import ANY_ELEMENT, Body, Plain, starts
from scopebound_engine.rego.checks.demands import TYPE_TESTS, Demands
from scopebound_engine.rego.checks.documents import written
from scopebound_engine.rego.checks.guards import Guards
from scopebound_engine.rego.checks.silences import is_argument
from scopebound_engine.rego.plan import Element
from scopebound_engine.rego.statements import Local, Statement

_STEP: Final = "silences"
_KINDS: Final = {"is_array": "a list", "is_number": "a number", "is_string": "text"}
_OTHERS: Final = {"is_array": "what is no list", "is_number": "text", "is_string": "a list"}
_ORDERS: Final = ("gt", "gte", "lt", "lte")
_SEARCHES: Final = ("startswith", "endswith", "contains")
_COLLECTIONS: Final = ("is_array", "is_object", "is_set")


def quiet_conditions(bodies: Demands) -> Iterator[Finding]:
    """All of them, once for a body."""
    for violation, body in bodies.denying:
        for finding in (
            *_absences(bodies, violation, body),
            *_unfit_kinds(bodies, body),
            *_lists(bodies, body),
            *_tables(bodies, violation, body),
        ):
            yield replace(finding, level="warning")
    for finding in _gathered(bodies):
        yield replace(finding, level="warning")


def _absences(bodies: Demands, violation: Body, body: Body) -> Iterator[Finding]:
    """Arguments of which a body only says what they are not, so that it needs them to be there."""
    told = set[Plain]()
    for path, lookup in bodies.reads(body):
        if path in told or not is_argument(path) or path[-1] == ANY_ELEMENT:
            continue
        same = [item for other, item in bodies.reads(body) if starts(other, path)]
        uses = [use for item in same for use in _uses(bodies, item)]
        differs = [use for use in uses if _is_difference(bodies, use)]
        if not differs or len(differs) < len(uses) or path in bodies.denied.absent:
            continue
        # Who asks for it before a helper does knows that it may be absent.
        if violation is not body and any(path == other for other, _ in bodies.reads(violation)):
            continue
        told.add(path)
        name = _name(bodies, lookup)
        message = f"without {name} this condition fails: the rule is quiet when it is absent"
        remedy = (
            "put it into a helper that says what is fine, and negate that; or write "
            f"{name} != null as well, if an absent one is fine"
        )
        yield differs[0].place.finding(_STEP, message, remedy)


def _uses(bodies: Demands, lookup: Statement) -> list[Statement]:
    """What is asked of what a lookup finds, under whichever name; nothing of what is shown."""
    found, waiting, seen = list[Statement](), [lookup], {lookup}
    for item in waiting:
        for reader in bodies.readers(item.target or 0, item):
            if reader in seen or reader.kind in {"IsDefined", "Dot"}:
                continue
            seen.add(reader)
            if reader.kind.startswith("AssignVar"):
                waiting.append(reader)
            elif not bodies.shown_only(reader.target or 0, reader) or reader.target is None:
                found.append(reader)
    return [item for item in found if item.kind not in {"ArrayAppend", "ObjectInsert"}]


def _is_difference(bodies: Demands, use: Statement) -> bool:
    """Whether something is asked of a value that most values are: other than one, or not so."""
    if use.callee == "neq":
        return not any(bodies.values.kinds(operand) == {"null"} for operand in use.reads)
    holder = use.block.parent
    return use.kind == "Call" and holder is not None and holder.kind == "Not"


def _unfit_kinds(bodies: Demands, body: Body) -> Iterator[Finding]:
    """Tests like is_number(x) before a comparison of x, which let pass what is none."""
    for item in body.statements:
        if item.callee not in _KINDS or not bodies.is_tested(item):
            continue
        path = bodies.plain(item.reads[0], item)
        if not is_argument(path) or path in bodies.denied.unfit:
            continue
        if any(_judges(bodies, use, path) for use in body.statements if use is not item):
            message = (
                f"{_OTHERS[item.callee]} passes: this denies nothing but {_KINDS[item.callee]}"
            )
            remedy = f"deny it in a rule of its own: not {item.callee}({_shown(path)})"
            yield item.place.finding(_STEP, message, remedy)


def _judges(bodies: Demands, use: Statement, path: Plain) -> bool:
    """Whether a condition asks more of a path than its kind."""
    if use.kind == "Not":
        return any(_takes(bodies, item, path) for item in bodies.inside(use))
    judging = use.kind == "Scan" or use.callee in {*_ORDERS, *_SEARCHES, "neq"}
    return judging and _takes(bodies, use, path)


def _takes(bodies: Demands, item: Statement, path: Plain) -> bool:
    taking = item.kind in {"Call", "Scan"} and item.callee not in TYPE_TESTS
    return taking and any(bodies.plain(operand, item) == path for operand in item.reads)


def _lists(bodies: Demands, body: Body) -> Iterator[Finding]:
    """Conditions on some element of an argument that may be no list."""
    tested = {
        bodies.plain(item.reads[0], item) for item in body.statements if item.callee in TYPE_TESTS
    }
    for item in body.statements:
        if item.kind == "Scan":
            path = bodies.plain(item.reads[0], item)
            if is_argument(path) and path not in tested | bodies.denied.unfit:
                yield _no_list(item, path)


def _gathered(bodies: Demands) -> Iterator[Finding]:
    """Elements of an argument gathered by a comprehension, or asked by `every`."""
    direct = {
        item for name in bodies.plan.functions for b in bodies.of(name) for item in b.statements
    }
    guards = Guards(bodies.plan, _COLLECTIONS)
    for item in bodies.plan.statements:
        if item.kind != "Scan" or item in direct or any(o.kind == "Not" for o in item.enclosing()):
            continue
        path = bodies.plain(item.reads[0], item)
        if not is_argument(path) or path in bodies.denied.unfit:
            continue
        if not guards.hold(item, item.reads[0]) and not _only_lists(bodies, item):
            yield _no_list(item, path)


def _only_lists(bodies: Demands, scan: Statement) -> bool:
    """Whether what a comprehension gathers is only shown."""
    filled = [
        item.fields["array" if item.kind == "ArrayAppend" else "set"]
        for item in bodies.plan.functions[scan.block.function].statements
        if item.kind in {"ArrayAppend", "SetAdd"} and scan in item.enclosing()
    ]
    return bool(filled) and all(bodies.shown_only(number, scan) for number in filled)


def _no_list(scan: Statement, path: Plain) -> Finding:
    name = _shown(path)
    message = f"{name} may be no list: what is none has no elements, and none of them is denied"
    remedy = f"deny it in a rule of its own: not is_array({name})"
    return scan.place.finding(_STEP, message, remedy)


def _tables(bodies: Demands, violation: Body, body: Body) -> Iterator[Finding]:
    """Values that are looked up in a table by what the caller chose."""
    keys = [key for key, _ in _keys(bodies, body)] + [key for key, _ in _keys(bodies, violation)]
    for item in body.statements:
        if item.kind != "Dot" or not isinstance(bodies.plan.step(item.reads[1]), Element):
            continue
        key = bodies.plain(item.reads[1], item)
        root, *_ = bodies.path(item.reads[0], item)
        path = bodies.plain(Local(item.target or 0), item)
        if key[:1] != ("input",) or key[1] not in _CHOSEN or root == "input":
            continue
        if key in keys or path in bodies.denied.absent or not _judged(bodies, item):
            continue
        message = f"this is quiet where the table has no entry for {_shown(key)}"
        remedy = "look it up with object.get(…, a default), or deny what it has no entry for"
        yield item.place.finding(_STEP, message, remedy)


_CHOSEN: Final = ("tool_name", "call_args", "mcp_server", "call_id")


def _keys(bodies: Demands, body: Body) -> Iterator[tuple[Plain, Statement]]:
    """What a body compares with something, or looks for in a list."""
    for item in body.statements:
        if item.kind == "Equal" or item.callee in {"equal", "eq", "internal.member_2"}:
            for operand in item.reads:
                yield bodies.plain(operand, item), item


def _judged(bodies: Demands, lookup: Statement) -> bool:
    """Whether more is asked of an entry than whether it is there and not false."""
    if bodies.shown_only(lookup.target or 0, lookup):
        return True
    return any(use.kind != "NotEqual" and not _is_truth(use) for use in _uses(bodies, lookup))


def _is_truth(use: Statement) -> bool:
    return use.kind == "Equal" and True in use.reads


def _name(bodies: Demands, lookup: Statement) -> str:
    return written(bodies.path(Local(lookup.target or 0), lookup))


def _shown(path: Plain) -> str:
    return path[0] + "".join("[_]" if step == ANY_ELEMENT else f".{step}" for step in path[1:])
