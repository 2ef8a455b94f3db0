"""Masking: what of a call's arguments may not stand in the decision log becomes an HMAC of it.

Which arguments, say JSON pointers into the Rego input (RFC 6901), where `*` is every item of an
object or array: `/call_args/iban`, `/call_args/payments/*/iban`. A value that comes again among the
facts about it, in `constraints`, is masked there too. Equal values of a node stay recognizable as
equal; without the key nobody can find them by trying.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from scopebound_engine import whole_file
from scopebound_engine.errors import ConfigError, InputError
from scopebound_engine.strict_json import dumps, quote

KEY_FILE: Final = "log-keys/mask.key"
KEY_BYTES: Final = 32
ARGUMENTS: Final = "call_args"
_ANY: Final = "*"
_REMEMBERED: Final = 1_024
_UNFIT_ESCAPE: Final = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer and its steps below the arguments; none: all of them."""

    text: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Masked:
    """A document as it may be logged, and the pointers that found something to be masked."""

    document: Mapping[str, Any]
    pointers: tuple[str, ...]


@lru_cache(_REMEMBERED)
def pointer(text: str) -> Pointer:
    """A pointer into the arguments of a call. Raises InputError, whose field is empty."""
    head, _, rest = text.removeprefix("/").partition("/")
    if not text.startswith("/") or head != ARGUMENTS or _UNFIT_ESCAPE.search(text):
        raise InputError(
            "",
            f"{quote(text)} is no JSON pointer into the arguments of a call; write it like "
            f'"/{ARGUMENTS}/iban" or "/{ARGUMENTS}/payments/*/iban"',
        )
    steps = rest.split("/") if text.count("/") > 1 else []
    return Pointer(text, tuple(step.replace("~1", "/").replace("~0", "~") for step in steps))


def pointers(text: str) -> tuple[Pointer, ...]:
    """Those of a setting, separated by blanks or commas. Raises InputError."""
    return tuple(map(pointer, text.replace(",", " ").split()))


def make_key(data_dir: Path) -> None:
    """Make this node's key, if there is none. Raises ConfigError."""
    file = data_dir / KEY_FILE
    if file.exists():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole_file.write(file, os.urandom(KEY_BYTES), mode=0o600)
    except OSError as error:
        raise ConfigError(f"{file} cannot be made: {error.strerror}") from error


def read_key(data_dir: Path) -> bytes:
    """This node's key. Raises ConfigError."""
    file = data_dir / KEY_FILE
    try:
        key = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}. A start of `scopebound-engine serve` makes "
            "it; the data folder has to be readable for this user."
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{file} has {len(key)} bytes instead of {KEY_BYTES}; take it from a backup, or remove "
            "it and restart: values that were masked before are then not recognized any more"
        )
    return key


class Masks:
    """Masks documents by a key, at the pointers of the configuration and those of a role."""

    def __init__(self, key: bytes, everywhere: Iterable[Pointer] = ()) -> None:
        self._key, self.everywhere = key, frozenset(everywhere)

    def apply(self, document: Mapping[str, Any], of_role: Iterable[str] = ()) -> Masked:
        """The document with its masked values replaced; itself is left as it is.

        `document` has the arguments under `call_args`, and maybe `constraints` on them. `of_role`
        are pointers that were checked before.
        """
        wanted = self.everywhere.union(map(pointer, of_role))
        if not wanted:
            return Masked(document, ())
        arguments, hidden, found = document[ARGUMENTS], _Hidden(self._key), list[str]()
        # Shorter ones first: below what is masked as a whole there is nothing left to be found.
        for each in sorted(wanted, key=lambda one: (len(one.steps), one.text)):
            before = hidden.count
            arguments = _without(arguments, each.steps, hidden)
            if hidden.count > before:
                found.append(each.text)
        masked = {**document, ARGUMENTS: arguments}
        if found and "constraints" in document:
            masked["constraints"] = [hidden.out_of(one) for one in document["constraints"]]
        return Masked(masked, tuple(found))


class _Mask(str):
    """What stands for a masked value."""

    __slots__ = ()


class _Hidden:
    """The values of one document that were masked, to be found again where they come again."""

    def __init__(self, key: bytes) -> None:
        # By identity: many constraints can look at one argument, which may have a megabyte.
        self._key, self._values, self._seen = key, dict[int, Any](), dict[int, Any]()
        self._scalars: set[tuple[type, Any]] | None = None
        self.count = 0

    def mask(self, value: Any) -> _Mask:
        """What stands for the value from now on."""
        self.count += 1
        self._values[id(value)] = value
        return self._mask(value)

    def out_of(self, constraint: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of a constraint without the values that were masked."""
        told = constraint.keys() & {"actual", "value"}
        return {**constraint, **{name: self._again(constraint[name]) for name in told}}

    def _again(self, value: Any) -> Any:
        """The value with what is masked replaced, wherever in it that comes again."""
        if id(value) not in self._seen:
            self._seen[id(value)] = self._looked_through(value)
        return self._seen[id(value)]

    def _looked_through(self, value: Any) -> Any:
        if id(value) in self._values:
            return self._mask(value)
        if isinstance(value, dict):
            return {key: self._again(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._again(item) for item in value]
        return self._mask(value) if (type(value), value) in self._all_scalars() else value

    def _all_scalars(self) -> set[tuple[type, Any]]:
        if self._scalars is None:
            whole = self._values.values()
            self._scalars = {(type(one), one) for value in whole for one in _scalars(value)}
        return self._scalars

    def _mask(self, value: Any) -> _Mask:
        digest = hmac.digest(self._key, dumps(value), hashlib.sha256)
        return _Mask(f"hmac-sha256:{digest.hex()}")


def _without(value: Any, steps: Sequence[str], hidden: _Hidden) -> Any:
    """The value with a mask for what the steps lead to."""
    if isinstance(value, _Mask):
        return value
    if not steps:
        return hidden.mask(value)
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        keys = value.keys() if step == _ANY else value.keys() & {step}
        return value | {key: _without(value[key], rest, hidden) for key in keys}
    if isinstance(value, list):
        return [
            _without(item, rest, hidden) if step in (_ANY, str(index)) else item
            for index, item in enumerate(value)
        ]
    return value


def _scalars(value: Any) -> Iterator[Any]:
    """The value, or all in it, that is neither an object nor an array."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _scalars(item)
    else:
        yield value
