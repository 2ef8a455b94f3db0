"""Exact input: JSON values into the engine, so that what a rule compares is what the client sent.

The wrapper's own `set_input` cuts strings at NUL, wraps integers beyond 64 bits, rounds floats to
six decimals and stores strings unescaped. Two ways are exact. Tree calls, with strings as
JSON-escaped UTF-8, carry what fits them; the text of a Rego term carries every JSON value and
takes three times as long. Values are what `strict_json.loads` returns: str, int, float, bool,
None, list, dict.

The engine goes through an object in the order in which it was handed over, where OPA goes by keys.
So keys are handed over in order: what is equal as JSON gets one verdict, reasons included.
"""

from collections.abc import Callable
from json.encoder import encode_basestring
from math import isfinite
from operator import itemgetter
from typing import Any, Final

from scopebound_engine.errors import InputError
from scopebound_engine.rego import native

# strict_json admits 64 levels, the facts around the arguments add a few.
MAX_DEPTH: Final = 96
_INT64: Final = 1 << 63
_REMEMBERED_KEYS: Final = 4_096
_by_key: Final = itemgetter(0)
_keys: dict[str, bytes] = {}


class _Inexact(Exception):
    """The tree calls cannot carry this value."""


def set_input(interpreter: int, value: Any) -> None:
    """Gives `value` to the interpreter as its input. Raises InputError where it is not JSON.

    After an exception the interpreter holds the previous input: discard it.
    """
    if not set_input_tree(interpreter, value):
        set_input_text(interpreter, value)


def set_input_tree(interpreter: int, value: Any) -> bool:
    """`set_input` by tree calls; False, and nothing set, where they cannot carry the value."""
    stack = native.new_input()
    try:
        _push(stack, value, 0)
        _check(native.set_input(interpreter, stack))
    except _Inexact:
        return False
    finally:
        native.free_input(stack)
    return True


def set_input_text(interpreter: int, value: Any) -> None:
    """`set_input` by the text of a term."""
    _check(native.set_input_term(interpreter, _utf8(term(value))))


def term(value: Any) -> str:
    """A JSON value as the engine reads it: JSON, with a decimal point in every float.

    Without the point the engine's data documents refuse an exponent (`1e-05`). Raises InputError.
    """
    return _term(value, 0)


def _push(stack: int, value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        native.push_string(stack, _body(value))
    elif kind is dict:
        _push_object(stack, value, _deeper(depth))
    elif kind is list:
        depth = _deeper(depth)
        for item in value:
            _push(stack, item, depth)
        _check(native.push_array(stack, len(value)))
    elif kind is bool:
        native.push_bool(stack, value)
    elif value is None:
        native.push_null(stack)
    else:
        _push_number(stack, value)


def _push_object(stack: int, value: dict[str, Any], depth: int) -> None:
    for key, item in _in_order(value):
        native.push_string(stack, _keys.get(key) or _key(key))
        _push(stack, item, depth)
        native.push_item(stack)
    _check(native.push_object(stack, len(value)))


def _push_number(stack: int, value: Any) -> None:
    kind = type(value)
    if kind is int and -_INT64 <= value < _INT64:
        native.push_int(stack, value)
    elif kind is float and isfinite(value) and float(f"{value:.6f}") == value:
        # The engine keeps a pushed float as text with six decimals.
        native.push_float(stack, value)
    else:
        raise _Inexact


def _in_order(value: dict[str, Any]) -> list[tuple[str, Any]]:
    try:
        return sorted(value.items(), key=_by_key)
    except TypeError as error:
        raise InputError("", "an object has keys that are no strings") from error


def _key(key: Any) -> bytes:
    if type(key) is not str:
        raise InputError("", f"an object key is {type(key).__name__}, not a string")
    body = _body(key)
    if len(_keys) < _REMEMBERED_KEYS and len(key) <= 64:
        _keys[key] = body
    return body


def _body(text: str) -> bytes:
    return _utf8(_quoted(text)[1:-1])


def _quoted(text: str) -> str:
    quoted: str = encode_basestring(text)
    # NUL is escaped, so a text that needed no escape has none.
    if len(quoted) != len(text) + 2 and "\0" in text:
        raise InputError("", "a string contains NUL (\\u0000)")
    return quoted


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("", "a string contains a lone surrogate (\\ud800 to \\udfff)") from error


def _term(value: Any, depth: int) -> str:
    kind = type(value)
    if kind is dict:
        depth = _deeper(depth)
        items = (f"{_quoted_key(key)}:{_term(item, depth)}" for key, item in _in_order(value))
        return "{" + ",".join(items) + "}"
    if kind is list:
        depth = _deeper(depth)
        return "[" + ",".join(_term(item, depth) for item in value) + "]"
    scalar = _SCALARS.get(kind)
    if scalar is None:
        raise InputError("", f"{kind.__name__} is not a JSON value")
    return scalar(value)


def _quoted_key(key: Any) -> str:
    if type(key) is not str:
        raise InputError("", f"an object key is {type(key).__name__}, not a string")
    return _quoted(key)


def _float(value: float) -> str:
    if not isfinite(value):
        raise InputError("", f"{value} is not a JSON number")
    digits, exponent, power = repr(value).partition("e")
    return f"{digits}{'' if '.' in digits else '.0'}{exponent}{power}"


_SCALARS: Final[dict[type, Callable[[Any], str]]] = {
    str: _quoted,
    int: str,
    float: _float,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise InputError("", f"nested deeper than {MAX_DEPTH} levels")
    return depth + 1


def _check(code: int) -> None:
    if code:
        raise InputError("", f"the Rego engine refused the input (code {code})")
