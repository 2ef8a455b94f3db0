"""A signing key is a PEM file with one private key, and its name may say PS256."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from scopebound_engine.bundle.trust.files import key_of
from scopebound_engine.bundle.trust.signing_key import ALGORITHMS, SigningKey
from scopebound_engine.errors import ConfigError

NAMES = {"es256": "ES256", "rs256": "RS256", "ps256": "PS256", "eddsa": "EdDSA"}


def pem(private: PrivateKeyTypes, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_pair_is_read_back(tmp_path: Path, algorithm: str) -> None:
    key = SigningKey.generate(algorithm)
    mark = ".ps256" if algorithm == "ps256" else ""
    private, public = tmp_path / f"release{mark}.key", tmp_path / f"release{mark}.pem"
    private.write_text(key.private_pem())
    public.write_text(key.public_pem())
    read, trusted = SigningKey.read(private), key_of(public)
    assert read.algorithm == trusted.algorithm == key.algorithm == NAMES[algorithm]
    assert read.key_id == trusted.key_id == key.key_id
    assert trusted.name == "release"


def test_an_unknown_algorithm_is_an_error() -> None:
    with pytest.raises(ConfigError, match="hs256 is none of es256, rs256, ps256, eddsa"):
        SigningKey.generate("hs256")


@pytest.mark.parametrize(
    ("private", "name", "message"),
    [
        (rsa.generate_private_key(65537, 1024), "a", "RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "a", "the curve secp384r1"),
        (ec.generate_private_key(ec.SECP256R1()), "a.ps256", "signs by ES256, not by PS256"),
        (x25519.X25519PrivateKey.generate(), "a", "a kind that signs no bundle"),
    ],
    ids=["short", "p384", "mark", "x25519"],
)
def test_keys_of_other_kinds_sign_nothing(
    tmp_path: Path, private: PrivateKeyTypes, name: str, message: str
) -> None:
    (tmp_path / f"{name}.key").write_bytes(pem(private))
    with pytest.raises(ConfigError, match=message):
        SigningKey.read(tmp_path / f"{name}.key")


@pytest.mark.parametrize("content", [b"", b"secret", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.key").write_bytes(content)
    with pytest.raises(ConfigError, match="holds no private key"):
        SigningKey.read(tmp_path / "a.key")


def test_an_encrypted_key_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    with pytest.raises(ConfigError, match="openssl pkey"):
        SigningKey.read(file)
