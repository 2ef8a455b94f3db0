"""Session tokens: only a genuine one is believed, and a genuine one whatever its age."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)

from scopebound_engine.errors import InputError, TokenError
from scopebound_engine.session.tokens import Tokens

NOW = 1_800_000_000
KEY, OTHER = generate_private_key(65537, 2048), generate_private_key(65537, 2048)


class Keys:
    """One node's key."""

    def __init__(self) -> None:
        self.known = {"k1": KEY.public_key()}

    def current(self) -> tuple[str, RSAPrivateKey]:
        return "k1", KEY

    def public(self, kid: str) -> RSAPublicKey | None:
        return self.known.get(kid)


def claims(**changes: Any) -> dict[str, Any]:
    given = {
        "iss": "engine",
        "aud": "agents",
        "sub": "agent:r",
        "jti": "s",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 60,
        "role": "r",
        "role_id": "i",
        "allowed_tools": ["read"],
        "parameter_constraints": {},
        "allowed_hours_start": 0,
        "allowed_hours_end": 0,
        "allowed_days": [],
        "rate_limit_per_minute": 0,
        "rate_limit_per_hour": 0,
        "data_scope": {"allowed_envs": [], "max_rows": 0},
        "delegation_depth_remaining": 0,
        "parent_session_id": None,
        "root_session_id": "s",
        "bound": {"approval_required": [], "allowed_mcp_servers": []},
    } | changes
    return {name: value for name, value in given.items() if value is not ...}


def tokens(keys: Keys | None = None, now: float = NOW) -> Tokens:
    return Tokens(keys or Keys(), issuer="engine", audience="agents", clock=lambda: now)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(
    header: Any = None,
    payload: Any = None,
    key: RSAPrivateKey = KEY,
    *,
    raw_payload: bytes | None = None,
    raw_header: bytes | None = None,
) -> str:
    """A token signed over whatever is given, RS256 with the key."""
    head = {"alg": "RS256", "typ": "JWT", "kid": "k1"} if header is None else header
    first = b64(raw_header if raw_header is not None else json.dumps(head).encode())
    body = raw_payload if raw_payload is not None else json.dumps(payload or claims()).encode()
    signed = f"{first}.{b64(body)}"
    algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    return f"{signed}.{b64(algorithm.sign(signed.encode(), key))}"


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


def _public_pem() -> bytes:
    return KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _hs256_with_public_key() -> str:
    signed = f"{b64(json.dumps({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1'}).encode())}."
    signed += b64(json.dumps(claims()).encode())
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{signed}.{b64(mac.sign(signed.encode(), _public_pem()))}"


def _noncanonical() -> str:
    token = forge()
    tail = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(tail) ^ 1]


H = {"alg": "RS256", "typ": "JWT", "kid": "k1"}
HOSTILE: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "one part": lambda: "abc",
    "two parts": lambda: "a.b",
    "four parts": lambda: forge() + ".x",
    "five parts like a JWE": lambda: "a.b.c.d.e",
    "no signature": lambda: forge().rsplit(".", 1)[0] + ".",
    "blank inside": lambda: forge()[:40] + " " + forge()[40:],
    "newline at the end": lambda: forge() + "\n",
    "padding": lambda: forge() + "==",
    "standard base64": lambda: forge().replace("-", "+").replace("_", "/") + "+",
    "surplus bits": _noncanonical,
    "not ASCII": lambda: forge() + "é",
    "lone surrogate": lambda: forge() + "\ud800",
    "very long": lambda: forge(payload=claims(role="x" * 20_000)),
    "another key": lambda: forge(key=OTHER),
    "alg none": lambda: forge({**H, "alg": "none"}),
    "alg none, unsigned": lambda: forge({**H, "alg": "none"}).rsplit(".", 1)[0] + ".",
    "alg None in capitals": lambda: forge({**H, "alg": "NONE"}),
    "HS256 with the public key": _hs256_with_public_key,
    "alg RS512": lambda: forge({**H, "alg": "RS512"}),
    "alg PS256": lambda: forge({**H, "alg": "PS256"}),
    "alg as a list": lambda: forge({**H, "alg": ["RS256"]}),
    "no typ": lambda: forge({"alg": "RS256", "kid": "k1"}),
    "no kid": lambda: forge({"alg": "RS256", "typ": "JWT"}),
    "unknown kid": lambda: forge({**H, "kid": "k2"}),
    "kid a path": lambda: forge({**H, "kid": "../../k1"}),
    "kid a number": lambda: forge({**H, "kid": 1}),
    "kid an object": lambda: forge({**H, "kid": {}}),
    "crit": lambda: forge({**H, "crit": ["exp"]}),
    "b64 false": lambda: forge({**H, "b64": False}),
    "jwk of its own": lambda: forge({**H, "jwk": {"kty": "RSA"}}),
    "jku": lambda: forge({**H, "jku": "http://127.0.0.1/keys"}),
    "x5u": lambda: forge({**H, "x5u": "http://127.0.0.1/cert"}),
    "header twice alg": lambda: forge(
        raw_header=b'{"alg":"none","alg":"RS256","typ":"JWT","kid":"k1"}'
    ),
    "header a list": lambda: forge([]),
    "header not JSON": lambda: forge(raw_header=b"{"),
    "payload a list": lambda: forge(raw_payload=b"[]"),
    "payload not JSON": lambda: forge(raw_payload=b"{"),
    "payload not UTF-8": lambda: forge(raw_payload=b"\xff"),
    "claim twice": lambda: forge(
        raw_payload=json.dumps(claims()).encode()[:-1] + b',"allowed_tools":["all"]}'
    ),
    "exp NaN": lambda: forge(raw_payload=json.dumps(claims(exp=float("nan"))).encode()),
    "exp a string": lambda: forge(payload=claims(exp=str(NOW + 60))),
    "exp a fraction": lambda: forge(payload=claims(exp=NOW + 60.5)),
    "exp true": lambda: forge(payload=claims(exp=True)),
    "exp missing": lambda: forge(payload=claims(exp=...)),
    "exp before iat": lambda: forge(payload=claims(exp=NOW - 1)),
    "life of two days": lambda: forge(payload=claims(exp=NOW + 2 * 86_400)),
    "life without end": lambda: forge(payload=claims(exp=10**30)),
    "iat in the future": lambda: forge(payload=claims(iat=NOW + 61, exp=NOW + 100)),
    "nbf in the future": lambda: forge(payload=claims(nbf=NOW + 61)),
    "nbf missing": lambda: forge(payload=claims(nbf=...)),
    "another issuer": lambda: forge(payload=claims(iss="evil")),
    "another audience": lambda: forge(payload=claims(aud="other")),
    "audience a list": lambda: forge(payload=claims(aud=["agents"])),
    "jti missing": lambda: forge(payload=claims(jti=...)),
    "jti a number": lambda: forge(payload=claims(jti=7)),
    "tools missing": lambda: forge(payload=claims(allowed_tools=...)),
    "tools a string": lambda: forge(payload=claims(allowed_tools="read")),
    "tools null": lambda: forge(payload=claims(allowed_tools=None)),
    "constraints missing": lambda: forge(payload=claims(parameter_constraints=...)),
    "constraints a list": lambda: forge(payload=claims(parameter_constraints=[])),
    "limit missing": lambda: forge(payload=claims(rate_limit_per_minute=...)),
    "limit true": lambda: forge(payload=claims(rate_limit_per_minute=True)),
    "bound missing": lambda: forge(payload=claims(bound=...)),
    "parent missing": lambda: forge(payload=claims(parent_session_id=...)),
    "parent a number": lambda: forge(payload=claims(parent_session_id=1)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tokens_are_refused(name: str) -> None:
    with pytest.raises(TokenError) as caught:
        tokens().verify(HOSTILE[name]())
    assert str(caught.value)
