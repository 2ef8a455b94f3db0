"""Which public keys can sign bundles, each by its own algorithm and under its own id.

The key decides the algorithm, never the message (RFC 8725, 3.1): P-256 is ES256, Ed25519 is EdDSA,
and RSA is RS256 unless whoever trusts the key says PS256. A key's id is its RFC 7638 thumbprint,
which signer and server compute alike without agreeing on a name.
"""

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from scopebound_engine import base64url, strict_json

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

KINDS: Final = "Use P-256, Ed25519, or RSA of 2048 bits or more: bundle keygen makes one."
# Of P-256 (RFC 7518, 6.2.1.2) and of Ed25519 (RFC 8032, 5.1.2) alike.
COORDINATE_BYTES: Final = 32
_LEAST_RSA_BITS: Final = 2048


def fit(key: object) -> PublicKey:
    """The key, if it is of a kind that signs bundles.

    Raises ValueError, whose text goes on from the name of the key's file.
    """
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        raise ValueError(f"holds an RSA key of {key.key_size} bits. {KINDS}")
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"holds a key on the curve {key.curve.name}. {KINDS}")
    if not isinstance(key, PublicKey):
        raise ValueError(f"holds a key of a kind that signs no bundle. {KINDS}")
    return key


def algorithm(key: PublicKey, asked: str | None = None) -> str:
    """The JWS name of the one algorithm that the key signs by. Raises ValueError as `fit` does."""
    possible = _algorithms(key)
    if asked is not None and asked not in possible:
        raise ValueError(f"holds a key that signs by {' or '.join(possible)}, not by {asked[:32]}")
    return asked or possible[0]


def thumbprint(key: PublicKey) -> str:
    """The RFC 7638 thumbprint: unpadded base64url of the SHA-256 of the required JWK members."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        x, y = (n.to_bytes(COORDINATE_BYTES) for n in (point.x, point.y))
        members = {"kty": "EC", "crv": "P-256", "x": base64url.encode(x), "y": base64url.encode(y)}
    elif isinstance(key, ed25519.Ed25519PublicKey):
        members = {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(key.public_bytes_raw())}
    else:
        numbers = key.public_numbers()
        n, e = (v.to_bytes(-(-v.bit_length() // 8)) for v in (numbers.n, numbers.e))
        members = {"kty": "RSA", "n": base64url.encode(n), "e": base64url.encode(e)}
    return base64url.encode(hashlib.sha256(strict_json.dumps(members)).digest())


def _algorithms(key: PublicKey) -> tuple[str, ...]:
    if isinstance(key, rsa.RSAPublicKey):
        return ("RS256", "PS256")
    return ("EdDSA",) if isinstance(key, ed25519.Ed25519PublicKey) else ("ES256",)
