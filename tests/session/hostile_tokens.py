"""Tokens that must not be believed, and the tools to forge them.

The forger holds the signing key itself: most of these are refused for what they say, not for their
signature.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key


def b64(data: bytes) -> str:
    """Canonical base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forger:
    """Forges tokens of an issuer whose key, key id and clock it knows."""

    kid: str
    key: RSAPrivateKey
    now: int
    issuer: str
    audience: str
    stranger: RSAPrivateKey = field(default_factory=lambda: generate_private_key(65537, 2048))

    @property
    def header(self) -> dict[str, Any]:
        """What a genuine token's header says."""
        return {"alg": "RS256", "typ": "JWT", "kid": self.kid}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Genuine claims but for the changes; `...` leaves one out."""
        given = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "agent:r",
            "jti": "s",
            "iat": self.now,
            "nbf": self.now,
            "exp": self.now + 60,
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

    def forge(
        self,
        header: Any = None,
        payload: Any = None,
        key: RSAPrivateKey | None = None,
        *,
        raw_payload: bytes | None = None,
        raw_header: bytes | None = None,
    ) -> str:
        """A token signed over whatever is given, RS256 with the key."""
        head = self.header if header is None else header
        first = b64(raw_header if raw_header is not None else json.dumps(head).encode())
        body = json.dumps(payload or self.claims()).encode() if raw_payload is None else raw_payload
        signed = f"{first}.{b64(body)}"
        algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
        return f"{signed}.{b64(algorithm.sign(signed.encode(), key or self.key))}"

    def hs256_with_public_key(self) -> str:
        """A MAC whose secret is the public key: believed where the message names the algorithm."""
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        signed = b64(json.dumps({**self.header, "alg": "HS256"}).encode())
        signed += f".{b64(json.dumps(self.claims()).encode())}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        return f"{signed}.{b64(mac.sign(signed.encode(), pem))}"

    def with_surplus_bits(self) -> str:
        """A genuine token whose last character differs in bits that decoders ignore."""
        token = self.forge()
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def hostile(by: Forger) -> dict[str, Callable[[], str]]:
    """The table: what is wrong with a token, and how to make it."""
    forge, claims, header, now = by.forge, by.claims, by.header, by.now
    return {
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
        "surplus bits": by.with_surplus_bits,
        "not ASCII": lambda: forge() + "é",
        "lone surrogate": lambda: forge() + "\ud800",
        "very long": lambda: forge(payload=claims(role="x" * 20_000)),
        "another key": lambda: forge(key=by.stranger),
        "alg none": lambda: forge({**header, "alg": "none"}),
        "alg none, unsigned": lambda: forge({**header, "alg": "none"}).rsplit(".", 1)[0] + ".",
        "alg None in capitals": lambda: forge({**header, "alg": "NONE"}),
        "HS256 with the public key": by.hs256_with_public_key,
        "alg RS512": lambda: forge({**header, "alg": "RS512"}),
        "alg PS256": lambda: forge({**header, "alg": "PS256"}),
        "alg as a list": lambda: forge({**header, "alg": ["RS256"]}),
        "no typ": lambda: forge({"alg": "RS256", "kid": by.kid}),
        "no kid": lambda: forge({"alg": "RS256", "typ": "JWT"}),
        "unknown kid": lambda: forge({**header, "kid": "k2"}),
        "kid a path": lambda: forge({**header, "kid": f"../../{by.kid}"}),
        "kid a number": lambda: forge({**header, "kid": 1}),
        "kid an object": lambda: forge({**header, "kid": {}}),
        "crit": lambda: forge({**header, "crit": ["exp"]}),
        "b64 false": lambda: forge({**header, "b64": False}),
        "jwk of its own": lambda: forge({**header, "jwk": {"kty": "RSA"}}),
        "jku": lambda: forge({**header, "jku": "http://127.0.0.1/keys"}),
        "x5u": lambda: forge({**header, "x5u": "http://127.0.0.1/cert"}),
        "header twice alg": lambda: forge(
            raw_header=b'{"alg":"none",' + json.dumps(header).encode()[1:]
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
        "exp a string": lambda: forge(payload=claims(exp=str(now + 60))),
        "exp a fraction": lambda: forge(payload=claims(exp=now + 60.5)),
        "exp true": lambda: forge(payload=claims(exp=True)),
        "exp missing": lambda: forge(payload=claims(exp=...)),
        "exp before iat": lambda: forge(payload=claims(exp=now - 1)),
        "life of two days": lambda: forge(payload=claims(exp=now + 2 * 86_400)),
        "life without end": lambda: forge(payload=claims(exp=10**30)),
        "iat in the future": lambda: forge(payload=claims(iat=now + 61, exp=now + 100)),
        "nbf in the future": lambda: forge(payload=claims(nbf=now + 61)),
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
