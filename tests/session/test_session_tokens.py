"""Session tokens: only a genuine one is believed, and a genuine one whatever its age."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)

from scopebound_engine.errors import InputError, TokenError
from scopebound_engine.session.tokens import Tokens
from tests.session.hostile_tokens import Forger, hostile

NOW = 1_800_000_000
KEY = generate_private_key(65537, 2048)
FORGER = Forger("k1", KEY, NOW, issuer="engine", audience="agents")
HOSTILE = hostile(FORGER)
claims, forge = FORGER.claims, FORGER.forge


class Keys:
    """One node's key."""

    def __init__(self) -> None:
        self.known = {"k1": KEY.public_key()}
        self.asked = 0

    def current(self) -> tuple[str, RSAPrivateKey]:
        return "k1", KEY

    def public(self, kid: str) -> RSAPublicKey | None:
        self.asked += 1
        return self.known.get(kid)


def tokens(keys: Keys | None = None, now: float = NOW) -> Tokens:
    return Tokens(keys or Keys(), issuer="engine", audience="agents", clock=lambda: now)


def test_a_signed_token_is_believed() -> None:
    subject = tokens()
    given = claims(iss=..., aud=...)
    assert subject.verify(subject.sign(given)) == claims()
    assert subject.verify(forge()) == claims()


def test_an_expired_token_is_genuine_and_the_policys_to_judge() -> None:
    late = tokens(now=NOW + 10**9)
    assert late.verify(forge())["exp"] == NOW + 60


def test_dates_may_lie_a_minute_ahead_and_no_more() -> None:
    assert tokens(now=NOW - 60).verify(forge())
    with pytest.raises(TokenError, match="future"):
        tokens(now=NOW - 61).verify(forge())


def test_a_remembered_token_is_judged_by_date_and_key_on_every_call() -> None:
    keys, now = Keys(), [NOW]
    subject = Tokens(keys, issuer="engine", audience="agents", clock=lambda: now[0])
    token = forge()
    subject.verify(token)
    now[0] = NOW - 3600
    with pytest.raises(TokenError, match="future"):
        subject.verify(token)
    now[0] = NOW
    keys.known.clear()
    with pytest.raises(TokenError, match="no longer valid"):
        subject.verify(token)


def test_remembering_is_quick() -> None:
    subject, token = tokens(), forge()
    subject.verify(token)
    started = time.perf_counter()
    for _ in range(1000):
        subject.verify(token)
    assert time.perf_counter() - started < 0.5


def test_a_token_over_16_kib_is_not_made() -> None:
    with pytest.raises(InputError, match="16384"):
        tokens().sign(claims(allowed_tools=["x" * 100] * 200))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tokens_are_refused(name: str) -> None:
    with pytest.raises(TokenError) as caught:
        tokens().verify(HOSTILE[name]())
    assert str(caught.value)


def test_what_is_remembered_is_bounded_by_its_size() -> None:
    made = [forge(payload=claims(jti=f"session-{number}")) for number in range(4)]
    keys = Keys()
    room = 3 * len(made[0])
    subject = Tokens(
        keys, issuer="engine", audience="agents", clock=lambda: NOW, remembered_bytes=room
    )
    for token in made:
        subject.verify(token)
    assert [asked_twice(subject, keys, token) for token in made[1:]] == [False] * 3
    assert asked_twice(subject, keys, made[0])
    assert asked_twice(subject, keys, made[1])


def asked_twice(subject: Tokens, keys: Keys, token: str) -> bool:
    """Whether the signature was checked: only then the key is asked for twice."""
    keys.asked = 0
    subject.verify(token)
    return keys.asked == 2
