"""The keys that sign bundles and the keys that are trusted: PEM files, each with one algorithm.

The key decides the algorithm, never the message (RFC 8725, 3.1): P-256 is ES256, Ed25519 is EdDSA,
RSA is RS256, and RSA in a file named `*.ps256.pem` is PS256. A key's id is its RFC 7638 thumbprint,
which signer and server compute alike without agreeing on a name; a trusted key answers to the name
of its file as well, since `opa build` writes a name of the operator's choice (`default`).
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from scopebound_engine import strict_json
from scopebound_engine.errors import ConfigError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

ALGORITHMS: Final = ("es256", "rs256", "ps256", "eddsa")
PS256_MARK: Final = ".ps256"
_RSA_BITS: Final = 3072
_LEAST_RSA_BITS: Final = 2048
_P256_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, with the JWS name of its algorithm (`ES256`) and its thumbprint."""

    private: PrivateKey
    algorithm: str
    key_id: str

    @classmethod
    def generate(cls, algorithm: str) -> "SigningKey":
        """A new key for one of ALGORITHMS."""
        private: PrivateKey
        if algorithm == "es256":
            private = ec.generate_private_key(ec.SECP256R1())
        elif algorithm == "eddsa":
            private = ed25519.Ed25519PrivateKey.generate()
        elif algorithm in {"rs256", "ps256"}:
            private = rsa.generate_private_key(65537, _RSA_BITS)
        else:
            raise ConfigError(f"{algorithm} is none of {', '.join(ALGORITHMS)}.")
        return cls(private, _algorithm(private.public_key(), algorithm == "ps256"), _id(private))

    @classmethod
    def read(cls, path: Path) -> "SigningKey":
        """The private key of a PEM file without a passphrase. Raises ConfigError."""
        pem = _pem(path)
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise ConfigError(
                f"{path} is encrypted; decrypt it first: openssl pkey -in {path} -out KEY.pem"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path} holds no private key in PEM: {error}") from error
        if not isinstance(private, PrivateKey):
            raise ConfigError(f"{path} holds a key of a kind that signs no bundle. {_KINDS}")
        return cls(private, _algorithm_of_file(path, private.public_key()), _id(private))

    def private_pem(self) -> str:
        """The private key as PKCS #8 PEM, without a passphrase."""
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def public_pem(self) -> str:
        """The public key as SubjectPublicKeyInfo PEM."""
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key that may sign bundles. `name` is its file's, without `.pem` and `.ps256`."""

    public: PublicKey
    algorithm: str
    key_id: str
    name: str

    @classmethod
    def read(cls, path: Path) -> "TrustedKey":
        """The public key of a PEM file. Raises ConfigError."""
        pem = _pem(path)
        if b"PRIVATE KEY" in pem:
            raise ConfigError(
                f"{path} is a private key; servers are given the public one, and the private one "
                "stays where bundles are signed. Replace the file."
            )
        try:
            public = serialization.load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path} holds no public key in PEM: {error}") from error
        if not isinstance(public, PublicKey):
            raise ConfigError(f"{path} holds a key of a kind that signs no bundle. {_KINDS}")
        name = path.name.removesuffix(".pem").removesuffix(PS256_MARK)
        return cls(public, _algorithm_of_file(path, public), thumbprint(public), name)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys whose bundles are believed; there is at least one."""

    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ConfigError("no key is trusted, so no bundle can be; name a folder of *.pem.")
        known: set[str] = set()
        for key in self.keys:
            if key.key_id in known:
                raise ConfigError(
                    f"the trusted key {key.name} is there in two files; remove one of them."
                )
            known.add(key.key_id)

    @classmethod
    def read(cls, path: Path) -> "TrustedKeys":
        """The public key of a PEM file, or of every `*.pem` in a folder. Raises ConfigError."""
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        if not files:
            raise ConfigError(
                f"{path} holds no *.pem file, so no bundle can be trusted; put the public keys "
                "there that may sign bundles."
            )
        return cls(tuple(TrustedKey.read(file) for file in files))

    def named(self, kid: str | None) -> tuple[TrustedKey, ...]:
        """The keys that a signature's `kid` can mean: all where it has none."""
        return tuple(key for key in self.keys if kid is None or kid in {key.key_id, key.name})


def thumbprint(public: PublicKey) -> str:
    """The RFC 7638 thumbprint: unpadded base64url of the SHA-256 of the required JWK members."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        x, y = (n.to_bytes(_P256_BYTES) for n in (point.x, point.y))
        members = {"kty": "EC", "crv": "P-256", "x": _base64url(x), "y": _base64url(y)}
    elif isinstance(public, ed25519.Ed25519PublicKey):
        members = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public.public_bytes_raw())}
    else:
        numbers = public.public_numbers()
        n, e = (v.to_bytes(-(-v.bit_length() // 8)) for v in (numbers.n, numbers.e))
        members = {"kty": "RSA", "n": _base64url(n), "e": _base64url(e)}
    return _base64url(hashlib.sha256(strict_json.dumps(members)).digest())


_KINDS: Final = "Use P-256, Ed25519, or RSA of 2048 bits or more: bundle keygen makes one."


def _pem(path: Path) -> bytes:
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}.") from error
    if pem.count(b"-----BEGIN ") > 1:
        raise ConfigError(f"{path} holds more than one key; put each in a file of its own.")
    return pem


def _algorithm_of_file(path: Path, public: PublicKey) -> str:
    marked = path.name.removesuffix(path.suffix).endswith(PS256_MARK)
    try:
        return _algorithm(public, marked)
    except ConfigError as error:
        raise ConfigError(f"{path} {error}") from error


def _algorithm(public: PublicKey, marked_ps256: bool) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < _LEAST_RSA_BITS:
            raise ConfigError(f"is an RSA key of {public.key_size} bits. {_KINDS}")
        return "PS256" if marked_ps256 else "RS256"
    if marked_ps256:
        raise ConfigError(f"is named {PS256_MARK} but is no RSA key; rename it.")
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "EdDSA"
    if not isinstance(public.curve, ec.SECP256R1):
        raise ConfigError(f"is a key on the curve {public.curve.name}. {_KINDS}")
    return "ES256"


def _id(private: PrivateKey) -> str:
    return thumbprint(private.public_key())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
