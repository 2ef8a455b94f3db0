"""String constants without the quotes that the engine leaves on them where it passes them on.

A constant that is given to a variable or to a function keeps its quotes (regopy 1.5.2), which most
of the engine takes no notice of and sprintf writes: `wrap("x")` is `<"x">` for a rule that makes
`<x>` of the same string in a call. Taken out of an array, a string has none.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from scopebound_engine.rego.rewriting import (
    Raw,
    Variables,
    append,
    dot,
    listings,
    local,
    make_array,
    make_int,
)
from scopebound_engine.rego.testing.scopes import RulePath


def unquote(
    document: Mapping[str, Any], variables: Variables, shipped: Collection[RulePath]
) -> None:
    """Changes a plan's functions in place, but for those `shipped`, by their paths below `data`.

    What is shipped has to do without.
    """
    for function in document["funcs"]["funcs"]:
        if tuple(function["path"][1:]) not in shipped:
            for listing in listings(function):
                listing.statements[:] = [
                    new for old in listing.statements for new in _bare(old, variables)
                ]


def _bare(statement: Raw, variables: Variables) -> Iterator[Raw]:
    """The statement, after those that take its strings out of arrays."""
    fields = statement["stmt"]
    if statement["type"] == "AssignVarStmt" and _is_string(fields["source"]):
        yield from _taken_out(fields["source"], fields["target"], variables)
        return
    if statement["type"] == "CallStmt":
        for place, argument in enumerate(fields["args"]):
            if _is_string(argument):
                target = variables.new()
                yield from _taken_out(argument, target, variables)
                fields["args"][place] = local(target)
    yield statement


def _taken_out(text: Raw, target: int, variables: Variables) -> Iterator[Raw]:
    array, index = variables.new(), variables.new()
    yield make_array(array)
    yield append(array, text)
    yield make_int(0, index)
    yield dot(local(array), local(index), target)


def _is_string(operand: Raw) -> bool:
    return bool(operand["type"] == "string_index")
