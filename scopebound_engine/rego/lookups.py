"""Lookups in the data that a plan has as calls of a rule yet to be chosen.

`data.shop.limits[input.tool_name]` may name a rule where shop is a package, so that the compiler
leaves the choice to the call. Where no rule stands at or below data.shop.limits, it is a lookup and
nothing else, which the engine makes once it has found no rule. Checks read it as one.
"""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, Final

from scopebound_engine.rego.rewriting import Raw, Strings, Variables, local, walk

_DATA: Final = 1
_ROOT: Final = 1  # the path begins with the "g0" of function names


def made_plain(document: Mapping[str, Any]) -> None:
    """Change such calls of a plan document into steps into the data, in place."""
    strings = Strings(document["static"]["strings"])
    rules = [function["path"][_ROOT:] for function in document["funcs"]["funcs"]]
    texts = [entry["value"] for entry in document["static"]["strings"]]
    variables: Variables | None = None
    for listing in walk(document):
        plain: list[Raw] = []
        for statement in listing.statements:
            if _is_lookup(statement, texts, rules):
                variables = variables or Variables(_count(document))
                plain += _steps(statement["stmt"], texts, strings, variables)
            else:
                plain.append(statement)
        listing.statements[:] = plain


def _is_lookup(statement: Raw, texts: list[str], rules: list[list[str]]) -> bool:
    if statement["type"] != "CallDynamicStmt":
        return False
    fixed = takewhile(lambda step: step["type"] == "string_index", statement["stmt"]["path"])
    path = [_name(texts[step["value"]]) for step in fixed][_ROOT:]
    return not any(rule[: len(path)] == path for rule in rules)


def _steps(fields: Raw, texts: list[str], strings: Strings, variables: Variables) -> Iterator[Raw]:
    source = _DATA
    *before, last = fields["path"][_ROOT:]
    for step in before:
        target = variables.new()
        yield _dot(source, _key(step, texts, strings), target)
        source = target
    yield _dot(source, _key(last, texts, strings), fields["result"])


def _key(step: Raw, texts: list[str], strings: Strings) -> Raw:
    if step["type"] != "string_index":
        return step
    return {"type": "string_index", "value": strings.index(f'"{_name(texts[step["value"]])}"')}


def _dot(source: int, key: Raw, target: int) -> Raw:
    return {"type": "DotStmt", "stmt": {"source": local(source), "key": key, "target": target}}


def _name(text: str) -> str:
    return text.removeprefix('"').removesuffix('"')


def _count(document: Mapping[str, Any]) -> int:
    """One more than the highest number of a variable."""
    return 1 + max(_numbers(document["funcs"]), default=_DATA)


def _numbers(value: Any) -> Iterator[int]:
    """All numbers in a part of a plan: those of variables, and others that do no harm."""
    if isinstance(value, Mapping):
        yield from (number for item in value.values() for number in _numbers(item))
    elif isinstance(value, list):
        yield from (number for item in value for number in _numbers(item))
    elif type(value) is int:
        yield value
