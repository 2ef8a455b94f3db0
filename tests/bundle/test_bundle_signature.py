"""Only a bundle that a trusted key signed, whole, becomes a VerifiedBundle."""

import gzip
import hashlib
import hmac
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from bundle_samples import (
    END,
    KEY,
    b64,
    files,
    header,
    jws,
    manifest,
    member,
    payload,
    signed,
    tar_gz,
    trust,
    with_token,
)
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import (
    SIGNATURES,
    VerifiedBundle,
    identity,
    sign,
    verify,
)
from scopebound_engine.bundle.trust.keys import ALGORITHMS, SigningKey, TrustedKeys
from scopebound_engine.bundle.trust.trusted_key import TIME_UNKNOWN
from scopebound_engine.errors import BundleError, Finding, ManifestError, SignatureError

OTHER = SigningKey.generate("es256")
RSA = SigningKey.generate("rs256")


def refused(data: bytes, *keys: SigningKey) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(data, trust(*(keys or (KEY,))))
    assert all(finding.step == "signature" for finding in caught.value.findings)
    return str(caught.value)


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


def finding(data: bytes, keys: TrustedKeys) -> Finding:
    with pytest.raises(SignatureError) as caught:
        verify(data, keys, at=NOON)
    (one,) = caught.value.findings
    assert (one.step, one.file) == ("signature", SIGNATURES)
    return one


def test_each_signature_that_will_not_do_has_a_finding_of_its_own() -> None:
    other = f"release1 ({OTHER.key_id})"
    who = f"the key release0 ({KEY.key_id}), which made the signature,"
    wrong = with_token(jws(payload(), OTHER, kid=KEY.key_id))
    cases = {
        "missing": finding(archive.write(files()), trusted(KEY)),
        "wrong": finding(wrong, trusted(KEY, OTHER)),
        "foreign": finding(SIGNED, trust(OTHER)),
        "early": finding(SIGNED, trusted(KEY, OTHER, not_before=NOON + HOUR)),
        "expired": finding(SIGNED, trusted(KEY, OTHER, not_after=NOON)),
        "revoked": finding(SIGNED, trusted(KEY, OTHER, revoked=NOON, revoked_reason="stolen")),
    }
    assert {case: (found.message, found.remedy) for case, found in cases.items()} == {
        "missing": (
            "the bundle is not signed",
            "scopebound-engine bundle sign FILE --key KEY",
        ),
        "wrong": (
            'the signature, by "ES256", was made by no trusted key; tried release0 (ES256)',
            "sign with a key whose public half is trusted here, by that key's algorithm",
        ),
        "foreign": (
            f'no trusted key is called "{KEY.key_id}"',
            f"trusted are: release0 ({OTHER.key_id})",
        ),
        "early": (
            f"{who} is not valid before 2026-05-04T13:00:00Z",
            f"sign with a key that is valid here: {other}",
        ),
        "expired": (
            f"{who} expired at 2026-05-04T12:00:00Z",
            f"sign with a key that is valid here: {other}",
        ),
        "revoked": (
            f"{who} was revoked at 2026-05-04T12:00:00Z: stolen",
            f"sign with a key that is valid here: {other}",
        ),
    }


# For how long a key is trusted

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def trusted(*keys: SigningKey, **notes: Any) -> TrustedKeys:
    """Trust in the first key as noted, and in the others without a limit."""
    first, *others = trust(*keys).keys
    return TrustedKeys((replace(first, **notes), *others))


def refused_at_noon(keys: TrustedKeys, data: bytes | None = None) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(data or SIGNED, keys, at=NOON)
    return str(caught.value)


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ({"not_before": NOON + HOUR}, "is not valid before 2026-05-04T13:00:00Z"),
        ({"not_after": NOON - HOUR}, "expired at 2026-05-04T11:00:00Z"),
        ({"not_after": NOON}, "expired at 2026-05-04T12:00:00Z"),
        ({"revoked": NOON - HOUR}, "was revoked at 2026-05-04T11:00:00Z"),
        ({"revoked": TIME_UNKNOWN}, "was revoked"),
        (
            {"revoked": NOON, "revoked_reason": "stolen", "not_after": NOON - HOUR},
            "was revoked at 2026-05-04T12:00:00Z: stolen",
        ),
    ],
)
def test_a_key_out_of_force_is_refused_and_in_force_an_alarm(
    notes: dict[str, Any], why: str
) -> None:
    keys = trusted(KEY, OTHER, **notes)
    text = refused_at_noon(keys)
    assert f"the key release0 ({KEY.key_id}), which made the signature, {why} (" in text
    assert f"sign with a key that is valid here: release1 ({OTHER.key_id})" in text
    assert verify(SIGNED, keys, at=NOON, in_force=True).key_id == KEY.key_id
    alarm = keys.alarm(KEY.key_id, NOON)
    assert alarm
    assert f"release0 ({KEY.key_id}), which signed the bundle in force, {why}; " in alarm
    assert keys.alarm(OTHER.key_id, NOON) is None


@pytest.mark.parametrize(
    "notes", [{"not_before": NOON}, {"not_after": NOON + HOUR}, {"not_before": NOON - HOUR}]
)
def test_a_key_within_its_time_is_believed(notes: dict[str, Any]) -> None:
    assert verify(SIGNED, trusted(KEY, **notes), at=NOON).key_id == KEY.key_id
    assert trusted(KEY, **notes).alarm(KEY.key_id, NOON) is None


def test_without_a_moment_it_is_now_that_counts() -> None:
    now = datetime.now(UTC)
    assert verify(SIGNED, trusted(KEY, not_before=now - HOUR, not_after=now + HOUR))
    with pytest.raises(SignatureError, match="expired at"):
        verify(SIGNED, trusted(KEY, not_after=now))


def test_a_revocation_does_not_wait_for_its_time() -> None:
    assert "was revoked at 2026-05-04T13" in refused_at_noon(trusted(KEY, revoked=NOON + HOUR))


def test_where_no_key_is_valid_the_remedy_is_a_new_one() -> None:
    assert "trust a new one" in refused_at_noon(trusted(KEY, revoked=NOON))


def test_two_keys_overlap_while_signers_change_over() -> None:
    keys = trusted(KEY, OTHER, not_after=NOON + HOUR)
    assert verify(SIGNED, keys, at=NOON)
    assert verify(signed(OTHER), keys, at=NOON)
    assert verify(signed(OTHER), keys, at=NOON + HOUR)
    with pytest.raises(SignatureError, match="expired"):
        verify(SIGNED, keys, at=NOON + HOUR)


def test_a_revoked_key_stands_in_the_way_of_no_other() -> None:
    keys = trusted(KEY, OTHER, revoked=NOON)
    unnamed = jwt.api_jws.encode(json.dumps(payload(OTHER)).encode(), OTHER.private, "ES256")
    assert verify(with_token(unnamed), keys, at=NOON).key_id == OTHER.key_id
    by_revoked = jwt.api_jws.encode(json.dumps(payload()).encode(), KEY.private, "ES256")
    assert "was revoked" in refused_at_noon(keys, with_token(by_revoked))


def test_the_kid_of_a_valid_key_does_not_help_a_revoked_one() -> None:
    keys = trusted(KEY, OTHER, revoked=NOON)
    token = jws(payload(), KEY, kid=OTHER.key_id)
    assert "made by no trusted key" in refused_at_noon(keys, with_token(token))
    with pytest.raises(SignatureError):
        verify(with_token(token), keys, at=NOON, in_force=True)


def test_a_key_that_is_gone_is_not_trusted_even_in_force() -> None:
    with pytest.raises(SignatureError, match="no trusted key is called"):
        verify(SIGNED, trust(OTHER), in_force=True)
    alarm = trust(OTHER).alarm(KEY.key_id, NOON)
    assert alarm
    assert f"the key {KEY.key_id}, which signed the bundle in force, is not trusted" in alarm


def test_in_force_excuses_nothing_but_the_time_of_the_key() -> None:
    keys = trusted(KEY, revoked=NOON)
    changed = with_token(jws(payload()), files(**{"a.rego": b""}))
    for data in (archive.write(files()), changed, signed(OTHER)):
        with pytest.raises(SignatureError):
            verify(data, keys, at=NOON, in_force=True)


# The files


def test_a_file_that_is_not_signed_is_refused() -> None:
    sources = {**files(), "scopebound/extra.rego": b"package scopebound\n"}
    text = refused(with_token(jws(payload()), sources))
    assert "scopebound/extra.rego: the file is not signed" in text


def test_a_second_manifest_is_not_exempt() -> None:
    text = refused(with_token(jws(payload()), {**files(), ".manifest": b"{}"}))
    assert ".manifest: the file is not signed" in text


def test_a_file_that_is_missing_is_refused() -> None:
    sources = files()
    del sources["scopebound/main_test.rego"]
    text = refused(with_token(jws(payload()), sources))
    assert "scopebound/main_test.rego: the file is signed but missing" in text


@pytest.mark.parametrize("name", sorted(files()))
def test_a_changed_file_is_refused(name: str) -> None:
    sources = {**files(), name: files()[name].replace(b"o", b"u", 1)}
    assert sources != files()
    assert f"{name}: the file is not as it was signed" in refused(
        with_token(jws(payload()), sources)
    )


def test_files_that_swap_names_are_refused() -> None:
    one, other = "scopebound/main.rego", "scopebound/main_test.rego"
    sources = {**files(), one: files()[other], other: files()[one]}
    assert refused(with_token(jws(payload()), sources)).count("not as it was signed") == 2


def test_all_files_that_do_not_fit_are_named_at_once() -> None:
    sources = {**files(), "a.rego": b"", "manifest.json": b"{}"}
    del sources["scopebound/main.rego"]
    assert refused(with_token(jws(payload()), sources)).count("\n") == 3


def test_signing_from_outside_the_folder_is_explained() -> None:
    claims = payload()
    for item in claims["files"]:
        item["name"] = f"rules/{item['name']}"
    assert "opa sign --bundle ." in refused(with_token(jws(claims)))


def test_a_signed_manifest_must_still_be_right() -> None:
    with pytest.raises(ManifestError, match="version is missing"):
        verify(signed(KEY, files(**{"manifest.json": b"{}"})), trust(KEY))


def test_signed_modules_must_still_be_text() -> None:
    with pytest.raises(BundleError, match="not UTF-8"):
        verify(signed(KEY, files(**{"a.rego": b"\xff"})), trust(KEY))


def test_a_hidden_second_file_of_a_signed_name_is_refused() -> None:
    sources = {**files(), SIGNATURES: sign(files(), KEY)}
    members = [member(name.encode(), content) for name, content in sources.items()]
    evil = member(b"./scopebound/main.rego", b"package evil\n")
    for data in (
        tar_gz(evil, *members),
        tar_gz(*members, evil),
        tar_gz(*members, end=END + evil + END),
        tar_gz(*members) + tar_gz(evil),
        tar_gz(*members, header(b"scopebound/main.rego", kind=b"2")),
    ):
        with pytest.raises(BundleError):
            verify(data, trust(KEY))


# Mutations


@seed(20240601)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_flipped_bit_of_the_token_verifies(data: st.DataObject) -> None:
    token = bytearray(jws(payload()).encode())
    position = data.draw(st.integers(0, len(token) - 1))
    token[position] ^= 1 << data.draw(st.integers(0, 6))
    with pytest.raises(BundleError):
        verify(with_token(token.decode()), trust(KEY))


def same_bundle_or_refused(data: bytes) -> VerifiedBundle | None:
    """What a changed archive verifies to: nothing, or the very files that were signed."""
    try:
        bundle = verify(data, TRUST)
    except BundleError:
        return None
    assert bundle.identity == WHOLE.identity
    assert bundle.files == WHOLE.files
    assert bundle.checksum == hashlib.sha256(data).hexdigest() != WHOLE.checksum
    return bundle


def test_no_flipped_byte_of_the_archive_changes_what_is_verified() -> None:
    free = set()
    for position, byte in enumerate(SIGNED):
        for flip in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            changed = SIGNED[:position] + bytes([byte ^ flip]) + SIGNED[position + 1 :]
            if same_bundle_or_refused(changed):
                # The same tar in other bits of gzip, which has many spellings of one content.
                assert gzip.decompress(changed) == gzip.decompress(SIGNED)
                free.add(position)
    # RFC 1952, 2.3: a hint that it is text, a time, extra flags and the operating system.
    assert {position for position in free if position < 10} == {3, 4, 5, 6, 7, 8, 9}


@seed(20240602)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_flipped_byte_of_a_tar_that_was_packed_anew_changes_it(data: st.DataObject) -> None:
    tar = bytearray(gzip.decompress(SIGNED))
    tar[data.draw(st.integers(0, len(tar) - 1))] ^= data.draw(st.integers(1, 255))
    # Free is what a tar does not say, such as the bytes behind a file's end in its last block.
    same_bundle_or_refused(gzip.compress(tar, 1, mtime=0))


SIGNED = signed(KEY)
TRUST: TrustedKeys = trust(KEY)
WHOLE = verify(SIGNED, TRUST)
