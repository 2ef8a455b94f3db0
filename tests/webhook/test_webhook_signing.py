"""Signatures: what the reference's code accepts, and what the helper refuses."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine import webhook
from scopebound_engine.webhook import signing

SECRET = "your-hmac-secret"
PAYLOAD = b'{"event":"deny"}'
NOW = 1_777_482_800.5


# The reference's, as it stands there.
def verify(secret: str, payload: bytes, signature: str) -> bool:
    expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", signature)


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), payload=st.binary())
def test_the_reference_and_the_helper_accept_what_is_signed(secret: str, payload: bytes) -> None:
    headers = signing.headers(secret, payload, "an-id", NOW)
    assert verify(secret, payload, headers["X-Scopebound-Signature"])
    assert webhook.verify(secret, payload, headers, now=NOW)
    assert not webhook.verify(secret + "x", payload, headers, now=NOW)
    assert not webhook.verify(secret, payload + b" ", headers, now=NOW)


def test_the_standard_signature_is_that_of_the_specification() -> None:
    """The example of its reference implementations."""
    payload = b'{"test": 2432232314}'
    headers = signing.headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        payload,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("seconds", [-301, 301, 10**9])
def test_the_helper_refuses_what_is_old_or_of_the_future(seconds: int) -> None:
    headers = signing.headers(SECRET, PAYLOAD, "an-id", NOW)
    assert not webhook.verify(SECRET, PAYLOAD, headers, now=NOW + seconds)
    assert webhook.verify(SECRET, PAYLOAD, headers, now=NOW + seconds, tolerance_seconds=2e9)


@pytest.mark.parametrize(
    "name", ["X-Scopebound-Signature", "webhook-id", "webhook-timestamp", "webhook-signature"]
)
@pytest.mark.parametrize("value", [None, "", "ä", "-1", "²", "9" * 400])
def test_the_helper_needs_every_header(name: str, value: str | None) -> None:
    headers = signing.headers(SECRET, PAYLOAD, "an-id", NOW)
    if value is None:
        del headers[name]
    else:
        headers[name] = value
    assert not webhook.verify(SECRET, PAYLOAD, headers, now=NOW)


def test_a_later_time_cannot_be_put_under_a_signature() -> None:
    headers = signing.headers(SECRET, PAYLOAD, "an-id", NOW)
    headers["webhook-timestamp"] = str(int(NOW) + 1_000)
    assert not webhook.verify(SECRET, PAYLOAD, headers, now=NOW + 1_000)


def test_one_of_several_standard_signatures_is_enough() -> None:
    headers = {k.upper(): v for k, v in signing.headers(SECRET, PAYLOAD, "an-id", NOW).items()}
    headers["WEBHOOK-SIGNATURE"] = "v1,AAAA v1a,BBBB " + headers["WEBHOOK-SIGNATURE"]
    assert webhook.verify(SECRET, PAYLOAD, headers, now=NOW)


def test_nothing_is_signed_or_verified_without_a_secret() -> None:
    headers = signing.headers("", PAYLOAD, "an-id", NOW)
    assert headers.keys() == {"webhook-id", "webhook-timestamp"}
    signed = signing.headers(SECRET, PAYLOAD, "an-id", NOW)
    assert not webhook.verify("", PAYLOAD, signed, now=NOW)
