"""The keys that are trusted: whose bundles are believed, and for how long.

Two keys may be valid at once, so that signers can change over. A key to be rid of is revoked, not
deleted: its bundle in force then goes on deciding, with an alarm, and whoever brings another is
told why it is refused. What else there is to know of keys is had from here too.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from scopebound_engine.bundle.trust.files import keys_in, keys_of
from scopebound_engine.bundle.trust.pem_file import PS256_MARK
from scopebound_engine.bundle.trust.public_key import thumbprint
from scopebound_engine.bundle.trust.signing_key import ALGORITHMS, SigningKey
from scopebound_engine.bundle.trust.trusted_key import TrustedKey
from scopebound_engine.errors import ConfigError

__all__ = ["ALGORITHMS", "PS256_MARK", "SigningKey", "TrustedKey", "TrustedKeys", "thumbprint"]


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys whose bundles are believed; there is at least one, and no name means two."""

    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ConfigError("no key is trusted, so no bundle can be; name a folder of *.pem.")
        known: dict[str, TrustedKey] = {}
        for key in self.keys:
            for label in sorted(key.labels & known.keys()):
                raise ConfigError(_twice(label, known[label], key))
            known |= dict.fromkeys(key.labels, key)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keys of a `*.pem` or `*.jwks.json` file, or of all in a folder.

        Raises ConfigError for whatever in there is wrong, with the file and the field.
        """
        keys = tuple(keys_in(path) if path.is_dir() else keys_of(path))
        if not keys:
            raise ConfigError(
                f"{path} holds no key (*.pem, *.jwks.json), so no bundle can be trusted; put the "
                "public keys there that may sign bundles."
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


def _twice(label: str, one: TrustedKey, other: TrustedKey) -> str:
    files = " and ".join(key.file.name for key in (one, other) if key.file)
    if one.key_id == other.key_id:
        return f"the trusted key {one} is there in two files ({files}); remove one of them."
    return f"two trusted keys ({files}) are both called {label}; give one another name."
