"""Session tokens for tests: signed by one key, which is made once a process."""

from collections.abc import Callable
from functools import cache

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)

from scopebound_engine.session.tokens import Tokens

KEY_ID = "the-only-key"
ISSUER, AUDIENCE = "scopebound-engine", "scopebound"


@cache
def signing_key() -> RSAPrivateKey:
    """The key of every OneKey."""
    return generate_private_key(65537, 2048)


class OneKey:
    """The keys of a node that has always had the same one."""

    def current(self) -> tuple[str, RSAPrivateKey]:
        return KEY_ID, signing_key()

    def public(self, kid: str) -> RSAPublicKey | None:
        return signing_key().public_key() if kid == KEY_ID else None


def tokens(clock: Callable[[], float]) -> Tokens:
    """Tokens signed and verified with that key."""
    return Tokens(OneKey(), issuer=ISSUER, audience=AUDIENCE, clock=clock)
