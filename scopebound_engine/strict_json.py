"""Strict JSON: bytes in, one exact value out, or InputError. The only parser of foreign JSON.

What is refused, and why: invalid UTF-8, a byte order mark, lone surrogates and NUL (the Rego engine
cuts strings there), duplicate keys (parsers disagree on which one wins), NaN and Infinity, numbers
that are not finite doubles, integers over 64 digits, and anything over a limit. Numbers come in
one spelling: `1.0` and `1e2` become integers, `-0` and `-0.0` become 0.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

import orjson

from scopebound_engine.errors import InputError

MAX_INTEGER_DIGITS: Final = 64
_INTEGERS: Final = 10**MAX_INTEGER_DIGITS
# The Rego engine cannot compute with the outermost doubles, the subnormal ones among them.
_LARGEST_DOUBLE: Final = 1.797e308
_SMALLEST_DOUBLE: Final = 2.2250738585072014e-308
# Above this, doubles are not written as integers: their exact digits would exceed the limit above.
_LARGEST_WHOLE_DOUBLE: Final = 1e63

type_names: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def type_name(value: object) -> str:
    """The JSON name of a value's type, with its article."""
    return type_names.get(type(value), type(value).__name__)


def loads(data: bytes, *, depth: int = 64, values: int = 200_000, keys: int = 100_000) -> Any:
    """The value of a JSON document.

    `depth` bounds nesting (a scalar has depth 0), `values` the number of values in the whole
    document, `keys` the keys of one object. Raises InputError, whose field is empty.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("", f"the body is not UTF-8 at byte {error.start}") from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise InputError(
            "", f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from error
    except RecursionError as error:
        raise InputError("", f"nested deeper than {depth} levels") from error
    except ValueError as error:
        # Python makes no integer of more than 4,300 digits.
        raise _too_many_digits() from error
    _Check(depth, values, keys).document(value)
    return value


# Not looking for circles saves a tenth: what is written here comes from JSON, or is laid out anew.
_CANONICAL: Final = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    allow_nan=False,
    sort_keys=True,
    separators=(",", ":"),
)


# What is no JSON by itself is refused as by the other.
_OPTIONS: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def dumps(value: Any) -> bytes:
    """The canonical bytes of a value: sorted keys, no blanks, raw UTF-8."""
    return _CANONICAL.encode(value).encode("utf-8")


def encode(value: Any) -> bytes:
    """The same a tenth as long, for what nobody compares byte by byte: floats may look otherwise.

    (1e16 for 1e+16.) Numbers have to be finite.
    """
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Integers of more than 64 bits, above all; what is no JSON at all raises here.
        return dumps(value)


def skim(data: bytes) -> Any:
    """The value of our own JSON, sooner than by `loads`, for who wants texts and times of it only.

    Integers of more than 64 bits come as doubles. Raises ValueError, RecursionError.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Lone surrogates and numbers beyond all doubles, which records of old may have.
        return json.loads(data)


def quote(text: str) -> str:
    """A string as JSON writes it, for messages that repeat foreign text."""
    return str(encode_basestring(text))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                _check_text(key)
                raise InputError("", f"the key {quote(key[:64])} stands twice in one object")
            seen.add(key)
    return result


def _constant(name: str) -> Any:
    raise InputError("", f"{name} is not JSON; send a finite number or null")


def _too_many_digits() -> InputError:
    return InputError("", f"an integer has more than {MAX_INTEGER_DIGITS} digits")


def _float(text: str) -> int | float:
    number = float(text)
    if number == 0:
        # Before Decimal, which has no 0e99999999999999999999.
        return 0
    if not abs(number) <= _LARGEST_DOUBLE:
        raise InputError("", f"the number {text[:40]} is not a finite double")
    if 0 < abs(number) < _SMALLEST_DOUBLE:
        raise InputError("", f"the number {text[:40]} is too near to 0; send 0")
    if number.is_integer() and abs(number) < _LARGEST_WHOLE_DOUBLE:
        # Decimal, because the double nearest to 1e23 is another integer.
        return int(Decimal(text).to_integral_value())
    return number


class _Check:
    """Counts and bounds what was parsed, without recursion."""

    def __init__(self, depth: int, values: int, keys: int) -> None:
        self._depth, self._values, self._keys = depth, values, keys

    def document(self, value: Any) -> None:
        layer, count, level = [value], 0, 0
        while layer:
            count += len(layer)
            if count > self._values:
                raise InputError("", f"more than {self._values} values")
            if level > self._depth:
                raise InputError("", f"nested deeper than {self._depth} levels")
            below: list[Any] = []
            for item in layer:
                # Here, since a function to be called and one for each integer cost as much again.
                if type(item) is int:
                    if not -_INTEGERS < item < _INTEGERS:
                        raise _too_many_digits()
                else:
                    self._visit(item, below)
            layer, level = below, level + 1

    def _visit(self, item: Any, below: list[Any]) -> None:
        if type(item) is str:
            _check_text(item)
        elif type(item) is list:
            below.extend(item)
        elif type(item) is dict:
            if len(item) > self._keys:
                raise InputError("", f"an object has more than {self._keys} keys")
            for key in item:
                _check_text(key)
            below.extend(item.values())


def _check_text(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise InputError("", "a string contains NUL (\\u0000)")
        return
    if "\0" in text:
        raise InputError("", "a string contains NUL (\\u0000)")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("", "a string contains a lone surrogate (\\ud800 to \\udfff)") from error
