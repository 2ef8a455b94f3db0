"""The private key that signs bundles: a PEM file that stays where bundles are signed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from scopebound_engine.bundle.trust import pem_file
from scopebound_engine.bundle.trust.public_key import KINDS, algorithm, thumbprint
from scopebound_engine.errors import ConfigError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

ALGORITHMS: Final = ("es256", "rs256", "ps256", "eddsa")
_RSA_BITS: Final = 3072


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, with the JWS name of its algorithm (`ES256`) and its thumbprint."""

    private: PrivateKey
    algorithm: str
    key_id: str

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key for one of ALGORITHMS."""
        private: PrivateKey
        if name == "es256":
            private = ec.generate_private_key(ec.SECP256R1())
        elif name == "eddsa":
            private = ed25519.Ed25519PrivateKey.generate()
        elif name in {"rs256", "ps256"}:
            private = rsa.generate_private_key(65537, _RSA_BITS)
        else:
            raise ConfigError(f"{name} is none of {', '.join(ALGORITHMS)}.")
        public = private.public_key()
        asked = "PS256" if name == "ps256" else None
        return cls(private, algorithm(public, asked), thumbprint(public))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The private key of a PEM file without a passphrase. Raises ConfigError."""
        pem = pem_file.read(path)
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise ConfigError(
                f"{path} is encrypted; decrypt it first: openssl pkey -in {path} -out KEY.pem"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path} holds no private key in PEM: {error}") from error
        if not isinstance(private, PrivateKey):
            raise ConfigError(f"{path} holds a key of a kind that signs no bundle. {KINDS}")
        public, signs_by = pem_file.judged(path, private.public_key())
        return cls(private, signs_by, thumbprint(public))

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
