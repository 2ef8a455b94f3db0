"""Overrides of input and data in a compiled plan: calls of helpers become `WithStmt`s of the IR."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scopebound_engine.rego.rewriting import Strings


@dataclass(frozen=True, slots=True)
class Target:
    """What a `with` overrides: the input (0) or the data (1), at a path or as a whole."""

    document: int
    path: tuple[str, ...]


def wrap(plan: dict[str, Any], helpers: Mapping[str, tuple[Target, ...]]) -> None:
    """Wraps each call of a helper, by the last part of its name, in place.

    A helper's first arguments are the values for its targets, in order.
    """
    strings = Strings(plan["static"]["strings"])
    for function in plan["funcs"]["funcs"]:
        _wrap_in(function["blocks"], helpers, strings)


def _wrap_in(
    blocks: Iterable[dict[str, Any]], helpers: Mapping[str, tuple[Target, ...]], strings: Strings
) -> None:
    for block in blocks:
        statements = block["stmts"]
        for index, statement in enumerate(statements):
            fields = statement["stmt"]
            if statement["type"] == "CallStmt":
                targets = helpers.get(fields["func"].rpartition(".")[2], ())
                statements[index] = _wrapped(statement, targets, strings)
            elif "block" in fields:
                _wrap_in((fields["block"],), helpers, strings)
            elif "blocks" in fields:
                _wrap_in(fields["blocks"], helpers, strings)


def _wrapped(call: dict[str, Any], targets: tuple[Target, ...], strings: Strings) -> Any:
    # A function's first two arguments are input and data. The first override is the outermost, so
    # that later ones apply on top of it.
    values = call["stmt"]["args"][2 : 2 + len(targets)]
    for target, value in reversed(list(zip(targets, values, strict=True))):
        call = {
            "type": "WithStmt",
            "stmt": {
                "local": target.document,
                "path": [strings.index(step) for step in target.path],
                "value": value,
                "block": {"stmts": [call]},
            },
        }
    return call
