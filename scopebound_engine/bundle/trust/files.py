"""Files of trusted keys, alone or in a folder.

    NAME.pem         a public key, which answers to NAME and to its thumbprint
    NAME.toml        what there is to say of it: id, algorithm, validity, revocation (`notes.py`)
    NAME.jwks.json   several public keys with all of that, as a JWK set (`jwks`)

A file that is none of these, and nothing that people and tools put beside keys, is an error: it
could be a revocation whose name was mistyped. Links are followed, since Kubernetes mounts files as
such.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from scopebound_engine.bundle.trust import jwks, pem_file
from scopebound_engine.bundle.trust.notes import KeyNotes
from scopebound_engine.bundle.trust.public_key import thumbprint
from scopebound_engine.bundle.trust.trusted_key import TrustedKey
from scopebound_engine.errors import ConfigError

PEM: Final = ".pem"
NOTES: Final = ".toml"
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def keys_in(folder: Path) -> Iterator[TrustedKey]:
    """The keys of a folder, by the names of their files. Raises ConfigError."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be read: {error.strerror}.") from error
    for path in paths:
        if path.name.endswith((PEM, jwks.SUFFIX)):
            yield from keys_of(path)
        elif path.suffix == NOTES:
            _require_key(path)
        elif not _may_lie_there(path):
            raise ConfigError(
                f"{path} is no *{PEM}, *{NOTES} or *{jwks.SUFFIX}. It might be a revocation with "
                "a mistyped name, so it is not passed over; rename it, or move it away."
            )


def keys_of(path: Path) -> Iterable[TrustedKey]:
    """The keys of one file. Raises ConfigError."""
    return jwks.read(path) if path.name.endswith(jwks.SUFFIX) else [key_of(path)]


def key_of(path: Path) -> TrustedKey:
    """The public key of a PEM file, with the notes beside it. Raises ConfigError."""
    pem, file = pem_file.read(path), path.with_suffix(NOTES)
    if b"PRIVATE KEY" in pem:
        raise ConfigError(
            f"{path} is a private key; servers are given the public one, and the private one "
            "stays where bundles are signed. Replace the file."
        )
    try:
        given = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} holds no public key in PEM: {error}") from error
    # A link to nothing is read too, and fails: it may have led to a revocation.
    notes = KeyNotes.read(file) if os.path.lexists(file) else KeyNotes()
    public, algorithm = pem_file.judged(path, given, notes.algorithm)
    key_id = thumbprint(public)
    return TrustedKey(
        public,
        algorithm,
        key_id,
        _name(path, file, notes, key_id),
        not_before=notes.not_before,
        not_after=notes.not_after,
        revoked=notes.revoked,
        revoked_reason=notes.reason,
        file=path,
    )


def _name(path: Path, file: Path, notes: KeyNotes, key_id: str) -> str:
    if notes.id is None or notes.id == key_id:
        return pem_file.name(path)
    if _THUMBPRINT.fullmatch(notes.id):
        raise ConfigError(
            f"{file}: id is the thumbprint of another key than {path.name} holds, {key_id}; "
            "one of the two files was exchanged."
        )
    return notes.id


def _require_key(notes: Path) -> None:
    if not notes.with_suffix(PEM).exists():
        raise ConfigError(
            f"{notes} speaks of no key: there is no {notes.stem}{PEM} beside it. "
            "Name both alike, or remove it."
        )


def _may_lie_there(path: Path) -> bool:
    """Private keys beside the public ones, as keygen leaves them, and the hidden."""
    return path.name.startswith((".", "README")) or path.suffix == ".key" or path.is_dir()
