"""Which statements of a compiled function are which clause of its rule.

A function's blocks are, as regopy 1.5.2 writes them: a reset; one block for each clause, in the
order of the source, with an alternative for each `else` between two that begin and end the choice;
one for the default, which begins with `IsUndefined`; and the return.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopebound_engine.rego.coverage.units import Clause
from scopebound_engine.rego.rewriting import Raw, inner

# Tells the clause that a statement's own place is in; None where it has none.
ClauseOf = Callable[[Raw], Clause | None]


@dataclass(frozen=True, slots=True)
class Body:
    """The list of statements of a clause, which is None where it is not known."""

    statements: list[Raw]
    clause: Clause | None


def bodies(
    function: Mapping[str, Any], clauses: Sequence[Clause], clause_of: ClauseOf
) -> Iterator[Body]:
    """The bodies of a function; `clauses` are those of its rule, in order."""
    found = [parts for block in function["blocks"] if (parts := _parts(block))]
    known = [_first(parts, clauses, clause_of) for parts in found]
    # What has no place, such as `x := true`, comes in the order of the source.
    free = [at for at, clause in enumerate(clauses) if clause.part == 0 and at not in known]
    if len(free) != known.count(None):
        free = [-1] * known.count(None)
    for parts, place in zip(found, known, strict=True):
        first = free.pop(0) if place is None else place
        for part, statements in enumerate(parts):
            yield Body(statements, _clause(clauses, first, part))


def _parts(block: Mapping[str, Any]) -> list[list[Raw]]:
    """The lists of a clause and of each `else`; empty for blocks that are no clause."""
    statements = block["stmts"]
    if statements and statements[0]["type"] == "IsUndefinedStmt":
        return [statements]
    if len(statements) != 1 or statements[0]["type"] != "BlockStmt":
        return []
    parts = [part["stmts"] for part in statements[0]["stmt"]["blocks"]]
    begins = all(item["type"] == "ResetLocalStmt" for item in parts[0])
    return parts[1:-1] if begins and len(parts) > 2 else parts


def _first(
    parts: Sequence[Sequence[Raw]], clauses: Sequence[Clause], clause_of: ClauseOf
) -> int | None:
    """The index of the clause, without its `else`, that the first place in these lists is in."""
    for statements in parts:
        for statement in _all(statements):
            clause = clause_of(statement)
            if clause is not None and clause in clauses:
                return clauses.index(clause) - clause.part
    return None


def _all(statements: Iterable[Raw]) -> Iterator[Raw]:
    for statement in statements:
        yield statement
        for part in inner(statement):
            yield from _all(part["stmts"])


def _clause(clauses: Sequence[Clause], first: int, part: int) -> Clause | None:
    found = clauses[first + part] if first >= 0 and first + part < len(clauses) else None
    return found if found is not None and found.part == part else None
