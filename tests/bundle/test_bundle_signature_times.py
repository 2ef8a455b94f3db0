"""A key is trusted for as long as its notes say, and each refusal names its reason and remedy."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import SIGNATURES, verify
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.bundle.trust.trusted_key import TIME_UNKNOWN
from scopebound_engine.errors import Finding, SignatureError
from tests.bundle.bundle_samples import KEY, files, jws, payload, signed, trust, with_token
from tests.bundle.signature_samples import OTHER, SIGNED

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def trusted(*keys: SigningKey, **notes: Any) -> TrustedKeys:
    """Trust in the first key as noted, and in the others without a limit."""
    first, *others = trust(*keys).keys
    return TrustedKeys((replace(first, **notes), *others))


def finding(data: bytes, keys: TrustedKeys) -> Finding:
    with pytest.raises(SignatureError) as caught:
        verify(data, keys, at=NOON)
    (one,) = caught.value.findings
    assert (one.step, one.file) == ("signature", SIGNATURES)
    return one


def refused_at_noon(keys: TrustedKeys, data: bytes | None = None) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(data or SIGNED, keys, at=NOON)
    return str(caught.value)


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
