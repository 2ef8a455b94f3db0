"""Query parameters: known ones only, each once, each with the values it may have."""

from collections.abc import Set
from typing import Final

import falcon

from scopebound_engine.errors import InputError

_BOOLEANS: Final = {"true": True, "false": False}


def only(req: falcon.Request, known: Set[str] = frozenset()) -> None:
    """Raise InputError for a query parameter that would otherwise be ignored."""
    unknown = sorted(req.params.keys() - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise InputError(
            unknown[0],
            f"is not a query parameter here; {f'known are {names}' if known else 'there are none'}",
        )


def flag(req: falcon.Request, name: str, default: bool) -> bool:
    """A parameter that is `true` or `false`. Raises InputError."""
    if name not in req.params:
        return default
    value = req.params[name]
    if not isinstance(value, str) or value not in _BOOLEANS:
        raise InputError(name, "must be true or false, once")
    return _BOOLEANS[value]


def text(req: falcon.Request, name: str, most: int) -> str:
    """A printable text, empty where it is absent. Raises InputError."""
    value = req.params.get(name, "")
    if not isinstance(value, str):
        raise InputError(name, "give it once")
    return printable(name, value, most)


def printable(name: str, value: str, most: int) -> str:
    """The text, if people can read it. Raises InputError."""
    if len(value) > most or not value.isprintable():
        raise InputError(name, f"must be at most {most} printable characters, without line breaks")
    return value


def number(req: falcon.Request, name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`. Raises InputError."""
    value = req.params.get(name, str(default))
    digits = isinstance(value, str) and value.isascii() and value.isdecimal()
    if not digits or len(value) > len(str(most)) or not 1 <= int(str(value)) <= most:
        raise InputError(name, f"must be a whole number from 1 to {most}")
    return int(str(value))
