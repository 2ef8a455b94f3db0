"""The SHA-256 of a bundle's file as OPA computes it for a signature.

The algorithm is that of OPA's v1/bundle/hash.go and `IsStructuredDoc` in v1/bundle/bundle.go. A
`data.json` or `.manifest` is hashed as a document, so that its layout does not matter: objects with
their keys sorted by code point, no blanks, numbers exactly as they are spelled (`1.0` is not `1`),
strings as Go's encoding/json writes them without HTML escapes. Every other file, `manifest.json`
too, is hashed byte by byte.
"""

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import archive, manifest
from scopebound_engine.errors import InputError

_STRUCTURED: Final = frozenset({archive.DATA, manifest.OPA_FILE})


class _Number(str):
    """A number's own spelling."""

    __slots__ = ()


def digest(name: str, content: bytes) -> str:
    """The hash of a file, in lower-case hex. Raises InputError, naming it, where it is not JSON."""
    return hashlib.sha256(hashed_bytes(name, content)).hexdigest()


def hashed_bytes(name: str, content: bytes) -> bytes:
    """What goes into the hash of a file. Raises InputError, naming it, where it is not JSON."""
    if PurePosixPath(name).name not in _STRUCTURED:
        return content
    try:
        strict_json.loads(content)
    except InputError as error:
        raise InputError(name, error.detail) from error
    # Parsed a second time, because the strict parser gives numbers one spelling.
    value = json.loads(content.decode(), parse_int=_Number, parse_float=_Number)
    return _encode(value).encode()


def _encode(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(k)}:{_encode(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_encode, value)) + "]"
    if isinstance(value, _Number):
        return value
    return _quote(value) if isinstance(value, str) else json.dumps(value)


def _quote(text: str) -> str:
    # Go escapes these two even when it leaves HTML alone, since JavaScript ends lines at them.
    return strict_json.quote(text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
