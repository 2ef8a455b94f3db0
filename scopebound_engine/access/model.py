"""API keys as values: what a key is, what a new one may be, and what is stored of its secret.

A secret is `sb-` and 256 random bits. Only its SHA-256 is stored: a slow or salted hash would
protect secrets that can be guessed, which these cannot. The hash is what the database looks up, so
no comparison of secrets takes time that depends on them.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scopebound_engine.errors import InputError

PREFIX: Final = "sb-"
ADMIN: Final = "admin"
ENFORCE: Final = "enforce"
ROLES: Final = "roles"
BUNDLES: Final = "bundles"
ROLLBACK: Final = "rollback"
AUDIT: Final = "audit"
SCOPES: Final = frozenset({ENFORCE, ROLES, BUNDLES, ROLLBACK, AUDIT, ADMIN})
HINT_LENGTH: Final = 8
_RANDOM_BYTES: Final = 32
_MAX_NAME_LENGTH: Final = 128
_MAX_ROLES: Final = 100


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls. `roles` are ids or names of the roles it may provision; none: all of them.

    `last_used_at` is coarse (see last_uses.py), and None before the first use.
    """

    id: str
    name: str
    hint: str
    scopes: frozenset[str]
    roles: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def may(self, *scopes: str) -> bool:
        """Whether it carries one of the scopes; `admin` carries all."""
        return ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)

    def may_provision(self, role_id: str, role_name: str) -> bool:
        """Whether the role is among those it may provision."""
        return not self.roles or role_id in self.roles or role_name in self.roles


def new_secret() -> str:
    """A secret that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_of(secret: str) -> str:
    """What is stored of a secret, in hexadecimal. Takes whatever a caller may send."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def check(name: str, scopes: frozenset[str], roles: tuple[str, ...]) -> None:
    """Whether there may be such a key. Raises InputError, which names the field."""
    _check_text("name", name)
    if not scopes or not scopes <= SCOPES:
        raise InputError("scopes", f"must be at least one of {', '.join(sorted(SCOPES))}")
    # A list that limits nothing is a mistake: whoever gave it believes that it does.
    if roles and (ENFORCE not in scopes or ADMIN in scopes):
        raise InputError(
            "roles",
            "limits what the scope enforce may provision: give that scope, and not admin, "
            "which may do everything, or leave roles out",
        )
    if len(roles) > _MAX_ROLES:
        raise InputError("roles", f"must have at most {_MAX_ROLES} entries")
    for number, role in enumerate(roles):
        _check_text(f"roles.{number}", role)


def _check_text(field: str, text: str) -> None:
    if not (0 < len(text) <= _MAX_NAME_LENGTH and text.isascii() and text.isprintable()):
        raise InputError(field, f"must be 1 to {_MAX_NAME_LENGTH} printable ASCII characters")
