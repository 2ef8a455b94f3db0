"""The keys that are trusted: a file, or a folder of them, that says whose bundles are believed.

    NAME.pem         a public key, which answers to NAME and to its thumbprint
    NAME.toml        what there is to say of it: id, algorithm, validity, revocation (`key_notes`)
    NAME.jwks.json   several public keys with all of that, as a JWK set (`jwks`)

Two keys may be valid at once, so that signers can change over. A key to be rid of is revoked, not
deleted: whoever finds its name in a bundle is then told so.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from scopebound_engine.bundle import jwks, key_pem
from scopebound_engine.bundle.key_notes import KeyNotes
from scopebound_engine.bundle.key_pem import PS256_MARK
from scopebound_engine.bundle.public_key import thumbprint
from scopebound_engine.bundle.signing_key import ALGORITHMS, SigningKey
from scopebound_engine.bundle.trusted_key import TrustedKey
from scopebound_engine.errors import ConfigError

__all__ = ["ALGORITHMS", "PS256_MARK", "SigningKey", "TrustedKey", "TrustedKeys", "thumbprint"]

_PEM: Final = ".pem"
_NOTES: Final = ".toml"
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys whose bundles are believed; there is at least one. No two share a name."""

    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ConfigError("no key is trusted, so no bundle can be; name a folder of *.pem.")
        known: dict[str, TrustedKey] = {}
        for key in self.keys:
            for label in sorted(key.labels):
                if label in known:
                    raise ConfigError(_twice(label, known[label], key))
            known |= dict.fromkeys(key.labels, key)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keys of a `*.pem` or `*.jwks.json` file, or of all in a folder.

        Raises ConfigError for whatever in there is wrong, with the file and the field.
        """
        keys = tuple(_keys_of_folder(path) if path.is_dir() else _keys_of_file(path))
        if not keys:
            raise ConfigError(
                f"{path} holds no *.pem file, so no bundle can be trusted; put the public keys "
                "there that may sign bundles."
            )
        return cls(keys)

    def named(self, kid: str | None) -> tuple[TrustedKey, ...]:
        """The keys that a signature's `kid` can mean: all where it has none."""
        return tuple(key for key in self.keys if kid is None or kid in key.labels)

    def alarm(self, key_id: str, at: datetime) -> str | None:
        """What is wrong with a bundle in force that this key signed; None if nothing is.

        `key_id` is a thumbprint, as in VerifiedBundle.
        """
        why, named = "is not trusted any more", key_id
        for key in self.keys:
            if key.key_id == key_id:
                (_, why), named = key.judge(at), str(key)
        if not why:
            return None
        return (
            f"the key {named}, which signed the bundle in force, {why}; "
            "activate a bundle signed by a key that is valid"
        )


def _keys_of_folder(folder: Path) -> Iterator[TrustedKey]:
    for path in sorted(folder.iterdir()):
        if path.name.endswith((_PEM, jwks.SUFFIX)):
            yield from _keys_of_file(path)
        elif path.suffix == _NOTES:
            if not path.with_suffix(_PEM).exists():
                raise ConfigError(
                    f"{path} speaks of no key: there is no {path.stem}{_PEM} beside it. "
                    "Name both alike, or remove it."
                )
        elif not _may_lie_there(path):
            raise ConfigError(
                f"{path} is no *{_PEM}, *{_NOTES} or *{jwks.SUFFIX}. It might be a revocation with "
                "a mistyped name, so it is not passed over; rename it, or move it away."
            )


def _may_lie_there(path: Path) -> bool:
    """What people and tools put beside keys: keygen its private ones, Kubernetes hidden links."""
    return path.name.startswith((".", "README")) or path.suffix == ".key" or path.is_dir()


def _keys_of_file(path: Path) -> Iterable[TrustedKey]:
    return jwks.read(path) if path.name.endswith(jwks.SUFFIX) else [_key_of_pem(path)]


def _key_of_pem(path: Path) -> TrustedKey:
    pem, file = key_pem.read(path), path.with_suffix(_NOTES)
    if b"PRIVATE KEY" in pem:
        raise ConfigError(
            f"{path} is a private key; servers are given the public one, and the private one "
            "stays where bundles are signed. Replace the file."
        )
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} holds no public key in PEM: {error}") from error
    # A link to nothing is read too, and fails: it may have led to a revocation.
    notes = KeyNotes.read(file) if os.path.lexists(file) else KeyNotes()
    fit, signs_by = key_pem.judged(path, public, notes.algorithm)
    key_id = thumbprint(fit)
    if notes.id and notes.id != key_id and _THUMBPRINT.fullmatch(notes.id):
        raise ConfigError(
            f"{file}: id is the thumbprint of another key than {path.name} holds, {key_id}; "
            "one of the two files was exchanged."
        )
    name = key_pem.name(path) if notes.id in {None, key_id} else notes.id
    return TrustedKey(
        fit,
        signs_by,
        key_id,
        name or "",
        not_before=notes.not_before,
        not_after=notes.not_after,
        revoked=notes.revoked,
        revoked_reason=notes.reason,
        file=path,
    )


def _twice(label: str, one: TrustedKey, other: TrustedKey) -> str:
    if one.key_id == other.key_id:
        return f"the trusted key {one} is there in two files or entries; remove one of them."
    return f"two trusted keys are called {label}: {one} and {other}; give one another name."
