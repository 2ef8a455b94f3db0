"""Blanks between the tokens of one line of Rego, as OPA's formatter sets them."""

import re
from collections.abc import Sequence
from typing import Final

OPENING: Final = frozenset("([{")
CLOSING: Final = frozenset(")]}")
_VALUE: Final = re.compile(r'[A-Za-z_0-9"`]')
# Words that no value ends with: what follows is neither called nor indexed, nor subtracted from.
_BEFORE_TERM: Final = frozenset(
    ("in", "as", "with", "not", "some", "every", "if", "else", "default", "import", "package")
)


def is_spaced(tokens: Sequence[str], index: int) -> bool:
    """Whether a blank stands before a token of a line, which is not its first."""
    before, text = tokens[index - 1], tokens[index]
    if before in OPENING | {"."} or text in CLOSING | {",", ";", ".", ":"}:
        return False
    if text in {"(", "["}:
        return not ends_value(tokens, index - 1)
    is_sign = before == "-" and (index < 2 or not ends_value(tokens, index - 2))
    return not is_sign


def ends_value(tokens: Sequence[str], index: int) -> bool:
    """Whether what ends with a token of a line is a value: it can be called, or indexed."""
    text = tokens[index]
    if text in CLOSING:
        return True
    if index > 0 and tokens[index - 1] == ".":
        return True
    if text == "contains":
        # After a value it is the keyword of a set's head, else the built-in of this name.
        return index == 0 or not ends_value(tokens, index - 1)
    return bool(_VALUE.match(text)) and text not in _BEFORE_TERM
