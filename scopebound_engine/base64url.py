"""Base64url without padding (RFC 7515, 2), where one content has one spelling."""

import base64
import re
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]+")


def encode(data: bytes) -> str:
    """The text of these bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of a text that is not empty.

    Raises ValueError for padding, for other characters, and for stray bits at the end, which lax
    decoders drop.
    """
    if _ALPHABET.fullmatch(text) and len(text) % 4 != 1:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(data) == text:
            return data
    raise ValueError("not base64url without padding")
