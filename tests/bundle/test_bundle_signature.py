"""Only a bundle that a trusted key signed, whole, becomes a VerifiedBundle."""

import hashlib
import hmac
import json
import subprocess
from pathlib import Path

import jwt
import pytest

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import SIGNATURES, identity, sign, verify
from scopebound_engine.bundle.trust.keys import ALGORITHMS, SigningKey
from scopebound_engine.errors import SignatureError
from tests.bundle.bundle_samples import (
    KEY,
    b64,
    files,
    jws,
    manifest,
    member,
    payload,
    signed,
    tar_gz,
    trust,
    with_token,
)
from tests.bundle.signature_samples import OTHER, RSA, refused

# What is accepted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_here_is_verified_here(algorithm: str) -> None:
    key = SigningKey.generate(algorithm)
    data = signed(key)
    bundle = verify(data, trust(OTHER, key))
    assert bundle.key_id == key.key_id
    assert bundle.checksum == hashlib.sha256(data).hexdigest()
    assert bundle.manifest.name == "sample"
    assert bundle.modules().keys() == {"scopebound/main.rego", "scopebound/main_test.rego"}
    assert bundle.rules().keys() == {"scopebound/main.rego"}
    assert bundle.data() == {"scopebound": {"config": {"order": ["SCOPE_VIOLATION"], "alpha": 1}}}


def test_the_files_of_a_verified_bundle_cannot_be_changed() -> None:
    bundle = verify(signed(KEY), trust(KEY))
    with pytest.raises(TypeError):
        bundle.files["scopebound/main.rego"] = b""
    bundle.data()["scopebound"].clear()
    assert bundle.data()["scopebound"]


def test_a_repacked_archive_has_another_checksum_and_the_same_identity(tmp_path: Path) -> None:
    sources = {**files(), SIGNATURES: sign(files(), KEY)}
    for name, content in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    packed = subprocess.run(
        ["tar", "-czf", "-", "-C", tmp_path, "."], capture_output=True, check=True
    ).stdout
    one, other = verify(archive.write(sources), trust(KEY)), verify(packed, trust(KEY))
    assert one.checksum != other.checksum
    assert one.identity == other.identity == identity(sources)


def test_signing_again_keeps_the_identity_and_a_change_does_not() -> None:
    one, other = verify(signed(KEY), trust(KEY)), verify(signed(RSA), trust(RSA))
    assert one.identity == other.identity
    changed = files(**{"scopebound/main.rego": b"package scopebound\n\n"})
    assert verify(signed(KEY, changed), trust(KEY)).identity != one.identity


def test_what_opa_sign_makes_is_accepted() -> None:
    # No kid, the manifest in the metadata of `.manifest` only, absolute names.
    built = {"revision": "", "roots": [""], "metadata": {"scopebound": manifest()}}
    sources = {
        "data.json": b'{"scopebound":{"config":{"alpha":1.0}}}\n',
        "scopebound/main.rego": b"package scopebound\n",
        ".manifest": json.dumps(built).encode(),
    }
    token = jwt.api_jws.encode(
        json.dumps(payload(RSA, sources)).encode(), RSA.private, "RS256", {"typ": None}
    )
    members = {**sources, SIGNATURES: json.dumps({"signatures": [token]}, indent=1).encode()}
    data = tar_gz(*(member(b"/" + name.encode(), content) for name, content in members.items()))
    bundle = verify(data, trust(KEY, RSA))
    assert bundle.manifest.version == "1.2.0"
    assert bundle.key_id == RSA.key_id


def test_what_opa_build_makes_answers_to_the_name_of_the_key() -> None:
    claims = {**payload(), "keyid": "release0"}
    assert verify(with_token(jws(claims, kid="release0")), trust(KEY)).key_id == KEY.key_id
    assert verify(with_token(jws({**payload(), "iat": 1, "iss": "ci", "scope": ""})), trust(KEY))


# Key and algorithm


def test_an_unsecured_token_is_refused() -> None:
    token = f"{b64({'alg': 'none', 'kid': KEY.key_id})}.{b64(payload())}."
    assert refused(with_token(token))
    assert "made by no trusted key" in refused(with_token(token + "AA"))


@pytest.mark.parametrize("key", [KEY, RSA])
def test_the_public_key_is_no_hmac_secret(key: SigningKey) -> None:
    signing_input = f"{b64({'alg': 'HS256', 'kid': key.key_id})}.{b64(payload(key))}"
    mac = hmac.digest(key.public_pem().encode(), signing_input.encode(), "sha256")
    assert "made by no trusted key" in refused(with_token(f"{signing_input}.{b64(mac)}"), key)


def test_the_key_decides_between_rs256_and_ps256() -> None:
    token = jwt.api_jws.encode(json.dumps(payload(RSA)).encode(), RSA.private, "PS256")
    assert "made by no trusted key" in refused(with_token(token), RSA)


@pytest.mark.parametrize("algorithm", ["RS384", "RS512"])
def test_other_hashes_than_sha256_are_refused(algorithm: str) -> None:
    token = jwt.api_jws.encode(json.dumps(payload(RSA)).encode(), RSA.private, algorithm)
    assert "made by no trusted key" in refused(with_token(token), RSA)


def test_a_key_that_is_not_trusted_is_refused() -> None:
    text = refused(signed(OTHER))
    assert f'no trusted key is called "{OTHER.key_id}"' in text
    assert f"release0 ({KEY.key_id})" in text


def test_a_swapped_key_under_a_trusted_kid_is_refused() -> None:
    assert "made by no trusted key" in refused(with_token(jws(payload(), OTHER, kid=KEY.key_id)))


def test_a_kid_that_points_to_another_trusted_key_is_refused() -> None:
    token = jws(payload(), KEY, kid=RSA.key_id)
    assert "made by no trusted key" in refused(with_token(token), KEY, RSA)


@pytest.mark.parametrize("kid", ["", "../keys/release0.pem", "release", "\u0000", "release0.pem"])
def test_a_kid_is_a_name_and_not_a_path(kid: str) -> None:
    with pytest.raises(SignatureError):
        verify(with_token(jws(payload(), kid=kid)), trust(KEY))
