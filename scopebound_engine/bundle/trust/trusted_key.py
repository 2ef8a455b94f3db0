"""A public key that may sign bundles, for as long as it may.

A revoked key is revoked whatever time its revocation names: only the signer says when a thing was
signed, and whoever stole the key would say "before".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from scopebound_engine.bundle.trust.public_key import PublicKey
from scopebound_engine.times import timestamp

State = Literal["valid", "not yet valid", "expired", "revoked"]

# `revoked = true`: nobody wrote down since when.
TIME_UNKNOWN: Final = datetime.min.replace(tzinfo=UTC)

# What an operator may write of a key: names and reasons stand in messages and in logs.
TEXT: Final = "one line of text, at most 200 characters"


def is_text(value: object) -> bool:
    """Whether a value is TEXT."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= 200


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that is trusted from `not_before` on, and from `not_after` on no more.

    `algorithm` is a JWS name (`ES256`), `key_id` the thumbprint, `name` what else a signature's
    `kid` may call it. `revoked` is since when, TIME_UNKNOWN where that is not known. `file` is
    where the key was read.
    """

    public: PublicKey
    algorithm: str
    key_id: str
    name: str
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked: datetime | None = None
    revoked_reason: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.key_id})"

    @property
    def labels(self) -> frozenset[str]:
        """What a signature's `kid` may call this key."""
        return frozenset({self.key_id, self.name})

    def judge(self, at: datetime) -> tuple[State, str]:
        """Its state at a moment, and why that is not "valid", to go on from the key's name.

        Signatures of a valid key are believed, and no others.
        """
        if self.revoked is not None:
            return "revoked", self._revocation()
        if self.not_before is not None and at < self.not_before:
            return "not yet valid", f"is not valid before {timestamp(self.not_before)}"
        if self.not_after is not None and at >= self.not_after:
            return "expired", f"expired at {timestamp(self.not_after)}"
        return "valid", ""

    def _revocation(self) -> str:
        since = "" if self.revoked in {None, TIME_UNKNOWN} else f" at {timestamp(self.revoked)}"
        return f"was revoked{since}" + (f": {self.revoked_reason}" if self.revoked_reason else "")
