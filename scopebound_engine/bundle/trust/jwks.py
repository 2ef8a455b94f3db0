"""A JWK set (RFC 7517) of trusted keys: NAME.jwks.json.

A key may carry `nbf` and `exp` (seconds since 1970) and `revoked: {"revoked_at", "reason"}`, as the
keys of an OpenID Federation 1.0 Historical Keys Response do. RFC 7517 lets readers ignore members
that they do not know; here they are refused: a mistyped `revoked` must not bring a key back.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from scopebound_engine import base64url, strict_json
from scopebound_engine.bundle.trust.public_key import (
    COORDINATE_BYTES,
    PublicKey,
    algorithm,
    fit,
    thumbprint,
)
from scopebound_engine.bundle.trust.trusted_key import TEXT, TrustedKey, is_text
from scopebound_engine.errors import ConfigError, InputError
from scopebound_engine.times import moment

SUFFIX: Final = ".jwks.json"

_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_COMMON: Final = frozenset({"kty", "kid", "alg", "use", "key_ops", "nbf", "exp", "iat", "revoked"})
_OF_KIND: Final = {"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}

Jwk = dict[str, Any]


def read(path: Path) -> tuple[TrustedKey, ...]:
    """The keys of a file. Raises ConfigError, which names the file and the member."""
    try:
        document = strict_json.loads(path.read_bytes())
        if not isinstance(document, dict) or document.keys() != {"keys"}:
            raise InputError("", 'must be an object with the member "keys" and no other')
        if not isinstance(document["keys"], list):
            raise InputError("keys", "must be an array")
        return tuple(_key(path, f"keys[{i}]", jwk) for i, jwk in enumerate(document["keys"]))
    except OSError as error:
        raise ConfigError(f"the keys {path} cannot be read: {error.strerror}.") from error
    except InputError as error:
        raise ConfigError(f"{path}: {error}.") from error


def _key(path: Path, where: str, jwk: Any) -> TrustedKey:
    if not isinstance(jwk, dict):
        raise InputError(where, "must be an object")
    _require_known(where, jwk)
    try:
        public = fit(_public(where, jwk))
        signs_by = algorithm(public, _text(where, jwk, "alg") if "alg" in jwk else None)
    except ValueError as error:
        raise InputError(where, str(error).rstrip(".")) from error
    not_before, not_after = _moment(where, jwk, "nbf"), _moment(where, jwk, "exp")
    if not_before and not_after and not_before >= not_after:
        raise InputError(f"{where}.exp", "must be later than nbf")
    revoked, reason = _revocation(f"{where}.revoked", jwk)
    return TrustedKey(
        public,
        signs_by,
        thumbprint(public),
        _text(where, jwk, "kid"),
        not_before=not_before,
        not_after=not_after,
        revoked=revoked,
        revoked_reason=reason,
        file=path,
    )


def _require_known(where: str, jwk: Jwk) -> None:
    if secret := sorted(_PRIVATE & jwk.keys()):
        raise InputError(
            f"{where}.{secret[0]}",
            "belongs to a private key; servers are given the public one, and the private one stays "
            "where bundles are signed: replace the file",
        )
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _OF_KIND:
        raise InputError(f"{where}.kty", f"must be one of {', '.join(_OF_KIND)}")
    known = _COMMON | _OF_KIND[kind]
    if unknown := sorted(jwk.keys() - known):
        raise InputError(where, f"{_quoted(unknown[0])} is not known here; take it out")
    if jwk.get("use", "sig") != "sig":
        raise InputError(f"{where}.use", 'must be "sig"; this key is for something else')
    if jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise InputError(f"{where}.key_ops", 'must be ["verify"]; this key is for something else')


def _public(where: str, jwk: Jwk) -> PublicKey:
    """The key itself (RFC 7518, 6.2 and 6.3; RFC 8037, 2). Raises ValueError for an unfit one."""
    if jwk["kty"] == "RSA":
        e, n = (int.from_bytes(_bytes(where, jwk, field)) for field in ("e", "n"))
        return rsa.RSAPublicNumbers(e, n).public_key()
    curve = "P-256" if jwk["kty"] == "EC" else "Ed25519"
    if jwk.get("crv") != curve:
        raise InputError(f"{where}.crv", f"must be {curve}")
    x = _bytes(where, jwk, "x", COORDINATE_BYTES)
    if jwk["kty"] == "OKP":
        return ed25519.Ed25519PublicKey.from_public_bytes(x)
    y = _bytes(where, jwk, "y", COORDINATE_BYTES)
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    return point.public_key()


def _revocation(where: str, jwk: Jwk) -> tuple[datetime | None, str]:
    if "revoked" not in jwk:
        return None, ""
    said = jwk["revoked"]
    if not isinstance(said, dict) or "revoked_at" not in said:
        raise InputError(where, 'must be an object with the member "revoked_at"')
    if unknown := sorted(said.keys() - {"revoked_at", "reason"}):
        raise InputError(where, f"{_quoted(unknown[0])} is not known here; take it out")
    reason = _text(where, said, "reason") if "reason" in said else ""
    return _moment(where, said, "revoked_at"), reason


def _moment(where: str, jwk: Jwk, field: str) -> datetime | None:
    if field not in jwk:
        return None
    value = jwk[field]
    try:
        if type(value) in {int, float}:
            return moment(value)
    except (OverflowError, ValueError, OSError):
        pass
    raise InputError(f"{where}.{field}", "must be a number: seconds since 1970, UTC")


def _text(where: str, jwk: Jwk, field: str) -> str:
    if field not in jwk:
        raise InputError(f"{where}.{field}", "is missing")
    if not is_text(jwk[field]):
        raise InputError(f"{where}.{field}", f"must be {TEXT}")
    text: str = jwk[field]
    return text


def _bytes(where: str, jwk: Jwk, field: str, size: int | None = None) -> bytes:
    """A number or point in the one spelling that RFC 7518, 2 allows: no padding, no zeros ahead."""
    text = jwk.get(field)
    try:
        data = base64url.decode(text) if isinstance(text, str) else b""
    except ValueError as error:
        raise InputError(f"{where}.{field}", f"is {error}") from error
    if len(data) != size if size else not data or not data[0]:
        raise InputError(f"{where}.{field}", "has not the length that its key needs")
    return data


def _quoted(text: str) -> str:
    return strict_json.quote(text[:64])
