"""Session tokens: strict RS256 JWTs, signed by a node's key and verified by every node.

The signature check is PyJWT's; everything around it is stricter than a JWT library can be, because
what passes here is believed: canonical base64url, a header of exactly alg, typ and kid, one
algorithm per key, every claim present and of its type, integer dates, a bounded life.

Only the outcome of the signature check is remembered, by the SHA-256 of the token. Whether the key
still counts and whether the dates fit is judged on every call. `exp` is not judged here at all: an
expired token is genuine, and SESSION_EXPIRED is the policy's to say.
"""

import base64
import binascii
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError, TokenError

MAX_TOKEN_BYTES: Final = 16 << 10
LEEWAY_SECONDS: Final = 60
MAX_LIFE_SECONDS: Final = 86_400
# Of tokens, whose claims take four times as much memory; 15,000 of common roles.
REMEMBERED_BYTES: Final = 16 << 20
_ALGORITHM: Final = "RS256"

Claims = Mapping[str, Any]

_STRINGS = ("iss", "aud", "sub", "jti", "role", "role_id", "root_session_id")
_INTEGERS = (
    "iat",
    "nbf",
    "exp",
    "allowed_hours_start",
    "allowed_hours_end",
    "rate_limit_per_minute",
    "rate_limit_per_hour",
    "delegation_depth_remaining",
)
_LISTS = ("allowed_tools", "allowed_days")
_OBJECTS = ("parameter_constraints", "data_scope", "bound")


class KeySet(Protocol):
    """What tokens need of the nodes' signing keys."""

    def current(self) -> tuple[str, RSAPrivateKey]:
        """This node's key id and private key."""

    def public(self, kid: str) -> RSAPublicKey | None:
        """The public key of a key id that still counts, or None."""


@dataclass(frozen=True, slots=True)
class Genuine:
    """A token whose signature was checked: the key that made it, its claims, its bytes."""

    kid: str
    claims: Claims
    size: int


class Tokens:
    """Signs and verifies session tokens. Safe for use by many threads."""

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str,
        clock: Callable[[], float],
        remembered_bytes: int = REMEMBERED_BYTES,
    ) -> None:
        self._keys, self._issuer, self._audience, self._clock = keys, issuer, audience, clock
        self._genuine: OrderedDict[bytes, Genuine] = OrderedDict()
        self._room = remembered_bytes
        self._lock = threading.Lock()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token of these claims; `iss` and `aud` are added.

        Raises InputError when the token would exceed 16 KiB.
        """
        kid, key = self._keys.current()
        token = jwt.api_jws.encode(
            strict_json.dumps(self.payload(claims)), key, _ALGORITHM, {"typ": "JWT", "kid": kid}
        )
        if len(token) > MAX_TOKEN_BYTES:
            raise InputError(
                "role_id",
                f"the role's token would have {len(token)} bytes, over the {MAX_TOKEN_BYTES} "
                "that fit a request; give the role fewer tools or constraints",
            )
        return token

    def payload(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """All claims of the token of these: with who issues it, and for whom."""
        return {"iss": self._issuer, "aud": self._audience, **claims}

    def verify(self, token: str) -> Claims:
        """The claims of a genuine token, expired or not. Raises TokenError: one sentence."""
        return self.genuine(token).claims

    def genuine(self, token: str) -> Genuine:
        """A genuine token, expired or not. Raises TokenError: one sentence."""
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenError(f"the token has more than {MAX_TOKEN_BYTES} bytes")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._genuine.get(digest)
        if known is None:
            known = self._check(token)
            self._remember(digest, known)
        if self._keys.public(known.kid) is None:
            raise TokenError("the key that signed the token is no longer valid")
        claims, now = known.claims, self._clock()
        for name in ("nbf", "iat"):
            if claims[name] > now + LEEWAY_SECONDS:
                raise TokenError(f"{name} lies in the future; check the clocks of the nodes")
        return known

    def _check(self, token: str) -> Genuine:
        """1. shape, 2. header, 3. key, 4. signature, 5. claims."""
        header, payload = _parts(token)
        kid = _kid(header)
        key = self._keys.public(kid)
        if key is None:
            raise TokenError("no node signs with the token's kid")
        try:
            jwt.api_jws.decode(token, key, algorithms=[_ALGORITHM])
        except jwt.PyJWTError as error:
            raise TokenError("the signature does not fit") from error
        return Genuine(kid, self._claims(payload), len(token))

    def _claims(self, payload: bytes) -> Claims:
        claims = _json_object(payload, "payload")
        for names, kind, article in (
            (_STRINGS, str, "a string"),
            (_INTEGERS, int, "an integer"),
            (_LISTS, list, "an array"),
            (_OBJECTS, dict, "an object"),
        ):
            for name in names:
                if type(claims.get(name)) is not kind:
                    raise TokenError(f"the claim {name} is missing or not {article}")
        if type(claims.get("parent_session_id", 0)) not in {str, type(None)}:
            raise TokenError("the claim parent_session_id is missing or not a string or null")
        if claims["iss"] != self._issuer:
            raise TokenError("the token was issued by another service (iss)")
        if claims["aud"] != self._audience:
            raise TokenError("the token is meant for another service (aud)")
        if not 0 < claims["exp"] - claims["iat"] <= MAX_LIFE_SECONDS:
            raise TokenError(f"the token's life is not between 1 and {MAX_LIFE_SECONDS} seconds")
        return claims

    def _remember(self, digest: bytes, genuine: Genuine) -> None:
        with self._lock:
            if digest in self._genuine:
                return
            self._genuine[digest] = genuine
            self._room -= genuine.size
            while self._room < 0:
                _, eldest = self._genuine.popitem(last=False)
                self._room += eldest.size


def _parts(token: str) -> tuple[bytes, bytes]:
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise TokenError("it is not a signed token: three parts with dots between are expected")
    header, payload, _ = (_base64url(part) for part in parts)
    return header, payload


def _base64url(part: str) -> bytes:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TokenError("a part of the token is not base64url") from error
    # A decoder ignores surplus bits: several spellings of one token would be remembered apart.
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise TokenError("a part of the token is not canonical base64url")
    return data


def _kid(data: bytes) -> str:
    header = _json_object(data, "header")
    if set(header) != {"alg", "typ", "kid"}:
        raise TokenError("the header must have exactly alg, typ and kid")
    if header["alg"] != _ALGORITHM or header["typ"] != "JWT":
        raise TokenError(f"the header must say alg {_ALGORITHM} and typ JWT")
    if type(header["kid"]) is not str:
        raise TokenError("kid is not a string")
    return str(header["kid"])


def _json_object(data: bytes, part: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(data)
    except InputError as error:
        raise TokenError(f"the {part} is unfit: {error.detail}") from error
    if type(value) is not dict:
        raise TokenError(f"the {part} is not a JSON object")
    return value
