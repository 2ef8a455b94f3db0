"""A deny code more in a manifest, whose layout is kept as its author has it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.errors import ConfigError

_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|[\[\]{}:,]')
_FIELD: Final = '"deny_codes"'


def with_deny_code(data: bytes, entry: Mapping[str, str], file: str) -> bytes:
    """The manifest with `{"code", "severity", "description"}` as the last of its deny codes.

    `file` is the name that messages give it. Raises ManifestError where it is wrong, then or
    before, and ConfigError where its list of codes is not found in the text.
    """
    before = Manifest.from_bytes(data, file)
    text = data.decode("utf-8")
    spans = list(_elements(text))
    if len(spans) != len(before.deny_codes):
        raise ConfigError(f"{file}: the list deny_codes is not found; add {entry['code']} by hand.")
    start, end = spans[-1]
    blank = text[len(text[:start].rstrip()) : start]
    added = f"{text[:end]},{blank}{_like(text[start:end], entry)}{text[end:]}".encode()
    Manifest.from_bytes(added, file)
    return added


def _elements(text: str) -> Iterator[tuple[int, int]]:
    """Where the objects in the list of deny codes begin and end."""
    tokens = list(_TOKEN.finditer(text))
    words = [token[0] for token in tokens]
    at = next((i for i in range(len(words)) if words[i : i + 3] == [_FIELD, ":", "["]), len(words))
    depth = start = 0
    for token in tokens[at + 3 :]:
        if token[0] == "{":
            start = start if depth else token.start()
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth < 0:
            return
        if depth == 0 and token[0] == "}":
            yield start, token.end()


def _like(example: str, entry: Mapping[str, str]) -> str:
    """An object with the blanks of another."""

    def blanks(pattern: str) -> str:
        found = re.search(pattern, example)
        return found[1] if found else ""

    colon, comma = blanks(r'"(\s*:\s*)"'), blanks(r'"(\s*,\s*)"')
    fields = comma.join(
        f"{json.dumps(name)}{colon}{json.dumps(value, ensure_ascii=False)}"
        for name, value in entry.items()
    )
    return "{" + blanks(r"^\{(\s*)") + fields + blanks(r"(\s*)\}$") + "}"
