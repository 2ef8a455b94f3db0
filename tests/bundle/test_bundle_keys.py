"""A key is one public key with one algorithm, under a name that signer and server share."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from scopebound_engine.bundle.keys import ALGORITHMS, SigningKey, TrustedKeys
from scopebound_engine.bundle.keys import thumbprint as thumbprint_of
from scopebound_engine.errors import ConfigError

NAMES = {"es256": "ES256", "rs256": "RS256", "ps256": "PS256", "eddsa": "EdDSA"}
# The RSA key of RFC 7638, 3.1, and its thumbprint.
RFC_N = int.from_bytes(
    bytes.fromhex(
        "d2fc7b6a0a1e6c67104aeb8f88b257669b4df679ddad099b5c4a6cd9a88015b5a133bf0b856c7871b6df000b"
        "554fceb3c2ed512bb68f145c6e8434752fab52a1cfc124408f79b58a4578c16428855789f7a249e384cb2d9f"
        "ae2d67fd96fb926c198e077399fdc815c0af097dde5aadeff44de70e827f4878432439bfeeb96068d0474fc5"
        "0d6d90bf3a98dfaf1040c89c02d692ab3b3c2896609d86fd73b774ce0740647ceeeaa310bd12f985a8eb9f59"
        "fdd426cea5b2120f4f2a34bcab764b7e6c54d6840238bcc40587a59e66ed1f33894577635c470af75cf92c20"
        "d1da43e1bfc419e222a6f0d0bb358c5e38f9cb050aeafe904814f1ac1aa49cca9ea0ca83"
    )
)


def pem(private: PrivateKeyTypes, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def public_pem(private: PrivateKeyTypes) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_pair_is_read_back(tmp_path: Path, algorithm: str) -> None:
    key = SigningKey.generate(algorithm)
    mark = ".ps256" if algorithm == "ps256" else ""
    private, public = tmp_path / f"release{mark}.key", tmp_path / f"release{mark}.pem"
    private.write_text(key.private_pem())
    public.write_text(key.public_pem())
    read, (trusted,) = SigningKey.read(private), TrustedKeys.read(tmp_path).keys
    assert read.algorithm == trusted.algorithm == key.algorithm == NAMES[algorithm]
    assert read.key_id == trusted.key_id == key.key_id
    assert trusted.name == "release"


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    public = rsa.RSAPublicNumbers(65537, RFC_N).public_key()
    assert thumbprint_of(public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_an_rsa_key_is_of_the_algorithm_that_its_file_names(tmp_path: Path) -> None:
    key = SigningKey.generate("rs256")
    for name, algorithm in {"a.pem": "RS256", "a.ps256.pem": "PS256"}.items():
        (tmp_path / name).write_text(key.public_pem())
        assert TrustedKeys.read(tmp_path / name).keys[0].algorithm == algorithm


def test_a_folder_trusts_its_pem_files_and_nothing_else(tmp_path: Path) -> None:
    keys = {name: SigningKey.generate("es256") for name in ("b", "a")}
    for name, key in keys.items():
        (tmp_path / f"{name}.pem").write_text(key.public_pem())
    (tmp_path / "README").write_text("not a key")
    (tmp_path / "c.key").write_text(SigningKey.generate("es256").private_pem())
    trusted = TrustedKeys.read(tmp_path)
    assert [key.name for key in trusted.keys] == ["a", "b"]
    assert [key.name for key in trusted.named("b")] == ["b"]
    assert [key.name for key in trusted.named(keys["a"].key_id)] == ["a"]
    assert len(trusted.named(None)) == 2
    assert trusted.named("") == trusted.named("c") == ()


def test_one_file_can_be_trusted_alone(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text(SigningKey.generate("eddsa").public_pem())
    assert len(TrustedKeys.read(tmp_path / "a.pem").keys) == 1


def test_trusting_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no key \(\*\.pem, \*\.jwks\.json\)"):
        TrustedKeys.read(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        TrustedKeys.read(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no key is trusted"):
        TrustedKeys(())


def test_a_key_in_two_files_is_an_error_whatever_its_algorithm(tmp_path: Path) -> None:
    key = SigningKey.generate("rs256")
    for name in ("a.pem", "a.ps256.pem"):
        (tmp_path / name).write_text(key.public_pem())
    with pytest.raises(ConfigError, match="is there in two files"):
        TrustedKeys.read(tmp_path)


@pytest.mark.parametrize(
    ("private", "name", "message"),
    [
        (rsa.generate_private_key(65537, 1024), "a", "RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "a", "the curve secp384r1"),
        (ec.generate_private_key(ec.SECP256K1()), "a", "the curve secp256k1"),
        (ec.generate_private_key(ec.SECP256R1()), "a.ps256", "signs by ES256, not by PS256"),
        (x25519.X25519PrivateKey.generate(), "a", "a kind that signs no bundle"),
        (dsa.generate_private_key(1024), "a", "a kind that signs no bundle"),
    ],
)
def test_keys_of_other_kinds_are_refused(
    tmp_path: Path, private: PrivateKeyTypes, name: str, message: str
) -> None:
    (tmp_path / f"{name}.pem").write_bytes(public_pem(private))
    (tmp_path / f"{name}.key").write_bytes(pem(private))
    with pytest.raises(ConfigError, match=message):
        TrustedKeys.read(tmp_path / f"{name}.pem")
    with pytest.raises(ConfigError, match=message):
        SigningKey.read(tmp_path / f"{name}.key")


def test_a_private_key_among_the_trusted_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text(SigningKey.generate("es256").private_pem())
    with pytest.raises(ConfigError, match="is a private key"):
        TrustedKeys.read(tmp_path)


def test_a_file_with_two_keys_is_an_error(tmp_path: Path) -> None:
    both = SigningKey.generate("es256").public_pem() + SigningKey.generate("es256").public_pem()
    (tmp_path / "a.pem").write_text(both)
    with pytest.raises(ConfigError, match="more than one key"):
        TrustedKeys.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"secret", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_what_is_no_key_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pem").write_bytes(content)
    with pytest.raises(ConfigError, match="holds no public key"):
        TrustedKeys.read(tmp_path)
    with pytest.raises(ConfigError, match="holds no private key"):
        SigningKey.read(tmp_path / "a.pem")


def test_an_encrypted_key_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    with pytest.raises(ConfigError, match="openssl pkey"):
        SigningKey.read(file)


def test_an_unknown_algorithm_is_an_error() -> None:
    with pytest.raises(ConfigError, match="hs256 is none of es256, rs256, ps256, eddsa"):
        SigningKey.generate("hs256")
