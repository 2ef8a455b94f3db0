"""A key set is read strictly: what a lax reader would pass over could be a revocation."""

import json
from pathlib import Path
from typing import Any

import pytest
from bundle_samples import b64
from cryptography.hazmat.primitives.asymmetric import ec

from scopebound_engine.bundle.trust import jwks
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.bundle.trust.trusted_key import TrustedKey
from scopebound_engine.errors import ConfigError

# The keys of RFC 7517, A.1 (whose "use" is another) and of RFC 8037, A.2.
CURVE = {
    "kty": "EC",
    "kid": "1",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
EDWARDS = {
    "kty": "OKP",
    "kid": "2",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
_NUMBERS = SigningKey.generate("rs256").private.public_key().public_numbers()
RSA = {"kty": "RSA", "kid": "3", "n": b64(_NUMBERS.n.to_bytes(384)), "e": "AQAB"}


def read(folder: Path, *keys: Any) -> tuple[TrustedKey, ...]:
    (folder / "set.jwks.json").write_text(json.dumps({"keys": keys}))
    return jwks.read(folder / "set.jwks.json")


def refused(folder: Path, content: str | bytes) -> str:
    file = folder / "set.jwks.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        jwks.read(file)
    assert str(caught.value).startswith(f"{file}: ")
    return str(caught.value).removeprefix(f"{file}: ")


def test_keys_of_every_kind_are_read(tmp_path: Path) -> None:
    keys = read(tmp_path, CURVE, EDWARDS, RSA, {**RSA, "kid": "4", "alg": "PS256"})
    assert [(key.name, key.algorithm) for key in keys] == [
        ("1", "ES256"),
        ("2", "EdDSA"),
        ("3", "RS256"),
        ("4", "PS256"),
    ]
    assert keys[1].key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert keys[0].file == tmp_path / "set.jwks.json"


def test_a_key_can_say_how_long_it_is_trusted(tmp_path: Path) -> None:
    extra = {"use": "sig", "key_ops": ["verify"], "alg": "ES256", "iat": 1_767_225_600}
    revoked = {"revoked_at": 1_777_887_000, "reason": "compromised"}
    times = {"nbf": 1_767_225_600, "exp": 1_798_761_600.5, "revoked": revoked}
    (key,) = read(tmp_path, {**CURVE, **extra, **times})
    assert [str(when) for when in (key.not_before, key.not_after, key.revoked)] == [
        "2026-01-01 00:00:00+00:00",
        "2027-01-01 00:00:00.500000+00:00",
        "2026-05-04 09:30:00+00:00",
    ]
    assert key.revoked_reason == "compromised"


def test_a_set_lies_in_a_folder_beside_other_files(tmp_path: Path) -> None:
    read(tmp_path, CURVE, EDWARDS)
    (tmp_path / "a.pem").write_text(SigningKey.generate("es256").public_pem())
    assert [key.name for key in TrustedKeys.read(tmp_path).keys] == ["a", "1", "2"]
    assert len(TrustedKeys.read(tmp_path / "set.jwks.json").keys) == 2


@pytest.mark.parametrize("twice", [{**CURVE, "kid": "9"}, {**EDWARDS, "kid": "1"}])
def test_a_key_or_kid_that_stands_twice_is_an_error(tmp_path: Path, twice: Any) -> None:
    read(tmp_path, CURVE, twice)
    with pytest.raises(ConfigError, match=r"two files|are both called 1"):
        TrustedKeys.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"revokd": {"revoked_at": 1}}, 'keys[0]: "revokd" is not known here; take it out.'),
        ({"x5c": ["AAAA"]}, 'keys[0]: "x5c" is not known here'),
        ({"n": "AQAB"}, 'keys[0]: "n" is not known here'),
        ({"d": "AQAB"}, "keys[0].d: belongs to a private key"),
        ({"kty": "oct", "k": "AQAB"}, "keys[0].k: belongs to a private key"),
        ({"kty": "oct"}, "keys[0].kty: must be one of EC, OKP, RSA"),
        ({"kty": ["EC"]}, "keys[0].kty: must be one of"),
        ({"use": "enc"}, 'keys[0].use: must be "sig"'),
        ({"use": None}, 'keys[0].use: must be "sig"'),
        ({"key_ops": ["sign", "verify"]}, 'keys[0].key_ops: must be ["verify"]'),
        ({"alg": "RS256"}, "keys[0]: holds a key that signs by ES256, not by RS256"),
        ({"alg": "none"}, "keys[0]: holds a key that signs by ES256, not by none"),
        ({"alg": None}, "keys[0].alg: must be one line of text"),
        ({"kid": ""}, "keys[0].kid: must be one line of text"),
        ({"kid": "a\nb"}, "keys[0].kid: must be one line of text"),
        ({"kid": 1}, "keys[0].kid: must be one line of text"),
        ({"crv": "P-384"}, "keys[0].crv: must be P-256"),
        ({"crv": ["P-256"]}, "keys[0].crv: must be P-256"),
        ({"x": CURVE["y"]}, "keys[0]: "),
        ({"x": b64(bytes(31))}, "keys[0].x: has not the length that its key needs"),
        ({"x": "AAAA" + CURVE["x"]}, "keys[0].x: has not the length"),
        ({"x": CURVE["x"][:-1] + "5"}, "keys[0].x: is not base64url without padding"),
        ({"x": CURVE["x"] + "="}, "keys[0].x: is not base64url without padding"),
        ({"x": None}, "keys[0].x: has not the length"),
        ({"nbf": "2026-01-01"}, "keys[0].nbf: must be a number: seconds since 1970"),
        ({"exp": True}, "keys[0].exp: must be a number"),
        ({"exp": None}, "keys[0].exp: must be a number"),
        ({"exp": 10**20}, "keys[0].exp: must be a number"),
        ({"exp": -(10**12)}, "keys[0].exp: must be a number"),
        ({"nbf": 2, "exp": 2}, "keys[0].exp: must be later than nbf"),
        ({"revoked": True}, 'keys[0].revoked: must be an object with the member "revoked_at"'),
        ({"revoked": None}, "keys[0].revoked: must be an object"),
        ({"revoked": {}}, "keys[0].revoked: must be an object"),
        ({"revoked": {"revoked_at": None}}, "keys[0].revoked.revoked_at: must be a number"),
        ({"revoked": {"revoked_at": 1, "why": "x"}}, 'keys[0].revoked: "why" is not known'),
        ({"revoked": {"revoked_at": 1, "reason": 7}}, "keys[0].revoked.reason: must be one line"),
    ],
)
def test_a_slip_is_an_error_that_names_file_and_member(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    said = refused(tmp_path, json.dumps({"keys": [{**CURVE, **change}]}))
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": "AAAA" + RSA["n"]}, "keys[0].n: has not the length"),
        ({"n": b64(bytes([255] * 128))}, "keys[0]: holds an RSA key of 1024 bits"),
        ({"e": "AQ"}, "keys[0]: "),
        ({"e": ""}, "keys[0].e: is not base64url"),
    ],
)
def test_numbers_of_an_rsa_key_must_be_such(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    assert refused(tmp_path, json.dumps({"keys": [{**RSA, **change}]})).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        (b"\xff", "the body is not UTF-8"),
        ("[]", 'must be an object with the member "keys"'),
        ("{}", 'must be an object with the member "keys"'),
        ('{"keys": [], "iss": "x"}', 'must be an object with the member "keys" and no other'),
        ('{"keys": {}}', "keys: must be an array"),
        ('{"keys": ["x"]}', "keys[0]: must be an object"),
        ('{"keys": [{"kty": "EC", "kty": "EC"}]}', 'the key "kty" stands twice'),
        (json.dumps({"keys": [CURVE, {**EDWARDS, "kid": 2}]}), "keys[1].kid: must be one line"),
        (json.dumps({"keys": [{k: CURVE[k] for k in CURVE if k != "kid"}]}), "keys[0].kid: is mis"),
    ],
)
def test_a_document_that_is_no_key_set_is_an_error(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    assert refused(tmp_path, content).startswith(message)


def test_a_point_off_the_curve_is_an_error(tmp_path: Path) -> None:
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    off = {"x": b64(point.x.to_bytes(32)), "y": b64((point.y ^ 1).to_bytes(32))}
    assert refused(tmp_path, json.dumps({"keys": [{**CURVE, **off}]})).startswith("keys[0]: ")
