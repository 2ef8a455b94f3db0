"""NAME.toml beside NAME.pem: under which id, by which algorithm and for how long a key is trusted.

    id = "release-2026"                  # what signatures call it, unless that is NAME
    algorithm = "PS256"                  # RSA only has a choice
    not_before = 2026-01-01T00:00:00Z
    not_after = 2027-01-01T00:00:00Z
    revoked = 2026-05-04T09:30:00Z       # or true
    reason = "the laptop was stolen"

Every field may be absent, as may the file. Nothing else may stand there, and nothing of another
type: a slip of the pen must not bring a revoked key back.
"""

import difflib
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from scopebound_engine.bundle.trust.trusted_key import TEXT, TIME_UNKNOWN, is_text
from scopebound_engine.errors import ConfigError

_FIELDS: Final = ("id", "algorithm", "not_before", "not_after", "revoked", "reason")


@dataclass(frozen=True, slots=True)
class KeyNotes:
    """What the operator says of a key; a field that is None was not given."""

    id: str | None = None
    algorithm: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked: datetime | None = None
    reason: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The notes in this file. Raises ConfigError, which names the file and the field."""
        try:
            return cls.of(path, path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not UTF-8 at byte {error.start}.") from error

    @classmethod
    def of(cls, path: Path, text: str) -> Self:
        """The notes in the text of this file. Raises ConfigError."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
        for field in document:
            if field not in _FIELDS:
                raise ConfigError(f"{path}: {field!r} is not known here.{_nearest(field)}")
        notes = cls(
            id=_text(path, document, "id"),
            algorithm=_text(path, document, "algorithm"),
            not_before=_moment(path, document, "not_before"),
            not_after=_moment(path, document, "not_after"),
            revoked=_revoked(path, document),
            reason=_text(path, document, "reason") or "",
        )
        notes._require_sense(path)
        return notes

    def _require_sense(self, path: Path) -> None:
        if self.not_before and self.not_after and self.not_before >= self.not_after:
            raise ConfigError(f"{path}: not_after must be later than not_before.")
        if self.reason and self.revoked is None:
            raise ConfigError(f"{path}: reason is that of a revocation; revoked is missing.")


def _text(path: Path, document: dict[str, Any], field: str) -> str | None:
    if field not in document:
        return None
    if not is_text(document[field]):
        raise ConfigError(f"{path}: {field} must be in quotes and {TEXT}.")
    text: str = document[field]
    return text


def _moment(path: Path, document: dict[str, Any], field: str) -> datetime | None:
    if field not in document:
        return None
    value = document[field]
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    raise ConfigError(
        f"{path}: {field} must be a date and time with its offset from UTC, "
        "without quotes, like 2026-05-04T09:30:00Z."
    )


def _revoked(path: Path, document: dict[str, Any]) -> datetime | None:
    value = document.get("revoked")
    if value is True:
        return TIME_UNKNOWN
    if value is False:
        raise ConfigError(f"{path}: revoked is false; take the line out, or say true.")
    return _moment(path, document, "revoked")


def _nearest(field: str) -> str:
    near = difflib.get_close_matches(field, _FIELDS, n=1)
    if near:
        return f" Did you mean {near[0]}?"
    return f" Known are {', '.join(_FIELDS)}."
