"""Signed notes: a text, and who vouches for it, in the form of https://c2sp.org/signed-note.

    the text, whose last byte is a newline
    <an empty line>
    — <name of a key> <base64 of the key's id, 4 bytes, and the signature>

Keys are Ed25519 (signature type 1). What is written here is read by other programs of that format,
such as Go's golang.org/x/mod/sumdb/note, and the other way round.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scopebound_engine.errors import InputError

SIGNATURE_MARK: Final = "— "
_ED25519: Final = b"\x01"
_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
# The format asks for 16 at least; Go's reader takes 100.
_MOST_SIGNATURES: Final = 100
_VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)")
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key. `str()` is its vkey: `<name>+<id in hex>+<base64 of the key>`."""

    name: str
    public: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(map(str.isspace, self.name)):
            raise InputError(
                "", f"{self.name[:80]!r} names no key: blanks and + do not stand there"
            )
        hashed = hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public)
        object.__setattr__(self, "key_id", hashed.digest()[:_ID_BYTES])

    def __str__(self) -> str:
        encoded = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """The key that a vkey spells. Raises InputError."""
        found = _VKEY.fullmatch(vkey)
        if found is None:
            raise InputError("", f"{vkey[:80]!r} is no key of the form name+id+base64")
        encoded = decoded(found[3])
        if encoded[:1] != _ED25519 or len(encoded) != 1 + _KEY_BYTES:
            raise InputError("", f"the key {found[1][:80]!r} is not an Ed25519 key")
        key = cls(found[1], encoded[1:])
        if key.key_id.hex() != found[2]:
            raise InputError("", f"the key {found[1][:80]!r} has not the id {found[2]}: a mistype")
        return key

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether the signature is this key's, of this text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key under its name."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, which nobody has verified: names and what stands behind them."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]


def sign(text: str, key: SignerKey) -> bytes:
    """The note of a text that ends with a newline."""
    signature = base64.b64encode(key.verifier.key_id + key.private.sign(text.encode())).decode()
    return f"{text}\n{SIGNATURE_MARK}{key.name} {signature}\n".encode()


def parse(data: bytes) -> Note:
    """What stands in a note. Raises InputError for bytes that are none."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("", f"the note is not UTF-8 at byte {error.start}") from error
    if _CONTROL.search(whole):
        raise InputError("", "the note holds a control character")
    text, empty_line, below = whole.rpartition("\n\n")
    lines = below.removesuffix("\n").split("\n")
    if not empty_line or not below.endswith("\n") or len(lines) > _MOST_SIGNATURES:
        raise InputError("", "the note has no lines of signatures below an empty line")
    return Note(f"{text}\n", tuple(map(_signature, lines)))


def verified(note: Note, keys: Iterable[VerifierKey]) -> VerifierKey:
    """The key, of those given, that signed the note. Signatures of other keys do not count.

    Raises InputError when there is none, and when one of those keys did not sign this text.
    """
    known: Mapping[tuple[str, bytes], VerifierKey] = {(key.name, key.key_id): key for key in keys}
    signers = []
    for name, blob in note.signatures:
        key = known.get((name, blob[:_ID_BYTES]))
        if key is None:
            continue
        if not key.verifies(note.text, blob[_ID_BYTES:]):
            raise InputError("", f"the signature of {name} is not of this text: one was changed")
        signers.append(key)
    if not signers:
        names = ", ".join(
            f"{name[:80]!r} {blob[:_ID_BYTES].hex()}" for name, blob in note.signatures
        )
        raise InputError("", f"it is signed by no key that is known here, but by {names[:400]}")
    return signers[0]


def decoded(text: str) -> bytes:
    """The bytes of standard base64 (RFC 4648, 4), which has one spelling. Raises InputError."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise InputError("", f"{text[:80]!r} is not base64")
    return data


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(SIGNATURE_MARK).partition(" ")
    if not line.startswith(SIGNATURE_MARK) or not name:
        raise InputError("", f"{line[:80]!r} is no line of a signature")
    blob = decoded(encoded)
    if len(blob) <= _ID_BYTES:
        raise InputError("", f"the signature of {name[:80]!r} is too short")
    return name, blob
