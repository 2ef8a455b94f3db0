"""How webhooks are signed, and how a receiver verifies them.

`X-Scopebound-Signature` covers the body alone, so that whoever once saw a webhook can send it
again. The headers beside it cover its id and the time at which it was sent, too; they are those of
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

SIGNATURE: Final = "X-Scopebound-Signature"
ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
STANDARD_SIGNATURE: Final = "webhook-signature"

TOLERANCE_SECONDS: Final = 300
_STANDARD_SECRET: Final = "whsec_"  # noqa: S105 - a prefix
_VERSION: Final = "v1,"


def headers(secret: str, payload: bytes, message_id: str, now: float) -> dict[str, str]:
    """The headers of a webhook sent at `now`, epoch seconds; unsigned where there is no secret."""
    sent = {ID: message_id, TIMESTAMP: str(int(now))}
    if not secret:
        return sent
    return sent | {
        SIGNATURE: _signature(secret, payload),
        STANDARD_SIGNATURE: _standard_signature(secret, payload, message_id, sent[TIMESTAMP]),
    }


def verify(
    secret: str,
    payload: bytes,
    headers: Mapping[str, str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> bool:
    """Whether a webhook was signed with the role's secret, not long ago.

    `payload` is the body's bytes as they came, and `headers` all headers, their names in any case.
    One webhook may come more than once, with the same `webhook-id`. `now` is epoch seconds.
    """
    given = {name.lower(): value for name, value in headers.items()}
    signature, sent = given.get(SIGNATURE.lower(), ""), given.get(TIMESTAMP, "")
    if not secret or not (sent.isascii() and sent.isdecimal() and len(sent) < 12):
        return False
    if abs((time.time() if now is None else now) - int(sent)) > tolerance_seconds:
        return False
    expected = _standard_signature(secret, payload, given.get(ID, ""), sent)
    is_standard = any(_equal(expected, one) for one in given.get(STANDARD_SIGNATURE, "").split(" "))
    return is_standard and _equal(_signature(secret, payload), signature)


def _signature(secret: str, payload: bytes) -> str:
    return "sha256=" + hmac.new(_bytes(secret), payload, hashlib.sha256).hexdigest()


def _standard_signature(secret: str, payload: bytes, message_id: str, sent: str) -> str:
    signed = f"{message_id}.{sent}.".encode("utf-8", "replace") + payload
    digest = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
    return _VERSION + base64.b64encode(digest).decode()


def _standard_key(secret: str) -> bytes:
    """The key that a library of Standard Webhooks takes from a secret in its own form."""
    if secret.startswith(_STANDARD_SECRET):
        try:
            return base64.b64decode(secret.removeprefix(_STANDARD_SECRET), validate=True)
        except (binascii.Error, ValueError):
            pass
    return _bytes(secret)


def _bytes(secret: str) -> bytes:
    return secret.encode()


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
