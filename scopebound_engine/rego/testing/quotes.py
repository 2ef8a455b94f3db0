"""String constants without the quotes that the engine leaves on them where it passes them on.

A constant that is given to a variable or to a function has its quotes in the plan (regopy 1.5.2),
which most of the engine takes no notice of and sprintf writes: `wrap("x")` is `<"x">` for a rule
that makes `<x>` of the same string in a call. One in an array or object has none.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from scopebound_engine.rego.rewriting import Raw, Strings, listings, text
from scopebound_engine.rego.testing.scopes import RulePath

_OWN: Final = "g0."


def unquote(document: Mapping[str, Any], shipped: Collection[RulePath]) -> None:
    """Changes a plan's functions in place, but for those `shipped`, by their paths below `data`.

    What is shipped has to do without.
    """
    strings = Strings(document["static"]["strings"])
    texts = [entry["value"] for entry in document["static"]["strings"]]
    for function in document["funcs"]["funcs"]:
        if tuple(function["path"][1:]) in shipped:
            continue
        for operands, place in _passed_on(function):
            operand = operands[place]
            if operand["type"] == "string_index" and texts[operand["value"]].startswith('"'):
                operands[place] = text(strings.index(texts[operand["value"]][1:-1]))


def _passed_on(function: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The operands that give a variable or a parameter its value: where each is, and at what."""
    for listing in listings(function):
        for statement in listing.statements:
            fields: Raw = statement["stmt"]
            if statement["type"] == "CallStmt" and fields["func"].startswith(_OWN):
                yield from ((fields["args"], place) for place in range(len(fields["args"])))
            elif statement["type"] in {"AssignVarStmt", "AssignVarOnceStmt", "WithStmt"}:
                yield fields, "value" if statement["type"] == "WithStmt" else "source"
