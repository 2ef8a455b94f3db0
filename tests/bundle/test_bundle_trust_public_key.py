"""A public key is of one kind, has one algorithm and one id."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519

from scopebound_engine.bundle.trust.public_key import algorithm, fit, thumbprint

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
# The key of RFC 8037, A.1, and its thumbprint, A.3.
RFC_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RSA = rsa.RSAPublicNumbers(65537, RFC_N).public_key()


def test_the_thumbprint_is_that_of_the_rfcs() -> None:
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(RFC_SEED).public_key()
    assert thumbprint(RSA) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint(edwards) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_only_rsa_has_a_choice_of_algorithm() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    assert (algorithm(RSA), algorithm(RSA, "RS256"), algorithm(RSA, "PS256")) == (
        "RS256",
        "RS256",
        "PS256",
    )
    assert algorithm(curve) == algorithm(curve, "ES256") == "ES256"
    assert algorithm(edwards) == algorithm(edwards, "EdDSA") == "EdDSA"
    with pytest.raises(ValueError, match="signs by RS256 or PS256, not by ES256"):
        algorithm(RSA, "ES256")
    for asked in ("RS256", "EdDSA", "es256", "none", "HS256", "ES384", ""):
        with pytest.raises(ValueError, match="signs by ES256, not by"):
            algorithm(curve, asked)


@pytest.mark.parametrize(
    ("private", "message"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "the curve secp384r1"),
        (ec.generate_private_key(ec.SECP256K1()), "the curve secp256k1"),
        (x25519.X25519PrivateKey.generate(), "a kind that signs no bundle"),
        (dsa.generate_private_key(1024), "a kind that signs no bundle"),
    ],
    ids=["short", "p384", "k1", "x25519", "dsa"],
)
def test_keys_of_other_kinds_do_not_fit(private: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}.* bundle keygen makes one"):
        fit(private.public_key())
