"""A signature file is one JWS and nothing that hides in it."""

from typing import Any

import jwt
import pytest
from bundle_samples import KEY, b64, files, jws, payload, trust, with_signature, with_token

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import SIGNATURES, verify
from scopebound_engine.errors import SignatureError


def refused(data: bytes) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(data, trust(KEY))
    assert all(finding.step == "signature" for finding in caught.value.findings)
    return str(caught.value)


# The signature file


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"signatures": []}, "exactly one signature"),
        ({"signatures": [jws(payload()), jws(payload())]}, "exactly one signature"),
        ({"signatures": jws(payload())}, "exactly one signature"),
        ({"signatures": [1]}, "exactly one signature"),
        ({"signatures": [jws(payload())], "plugin": "_mine"}, '"signatures" and no other'),
        ({"Signatures": [jws(payload())]}, '"signatures" and no other'),
        ({}, '"signatures" and no other'),
        ([], "is an array, not an object"),
    ],
)
def test_anything_but_one_signature_is_refused(document: Any, message: str) -> None:
    assert message in refused(with_signature(document))


def test_an_unsigned_bundle_is_refused() -> None:
    assert "the bundle is not signed" in refused(archive.write(files()))


@pytest.mark.parametrize("content", [b"", b"{", b'{"signatures":[],"signatures":["x"]}', b"\xff"])
def test_a_signature_file_that_is_not_json_is_refused(content: bytes) -> None:
    assert "cannot be read" in refused(archive.write({**files(), SIGNATURES: content}))


@pytest.mark.parametrize(
    "mangle",
    [
        lambda token: token + ".x",
        lambda token: token.rsplit(".", 1)[0],
        lambda token: token.rsplit(".", 1)[0] + ".",
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: token[:-1] + "!",
        lambda token: "." + token.split(".", 1)[1],
        lambda token: token.replace(".", "..", 1),
    ],
)
def test_a_token_that_is_not_a_compact_jws_is_refused(mangle: Any) -> None:
    assert refused(with_token(mangle(jws(payload()))))


def test_a_signature_has_one_spelling_only() -> None:
    token = jws(payload())
    # The last character of a P-256 signature carries four bits that a lax decoder drops.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    assert last % 16 == 0
    assert "base64url" in refused(with_token(token[:-1] + alphabet[last + 1]))


# The header


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": {"kty": "EC"}},
        {"jku": "https://attacker.example/keys"},
        {"x5u": "https://attacker.example/cert"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"], "exp": 1},
        {"b64": False},
        {"cty": "JWT"},
        {"typ": 1},
        {"kid": 7},
        {"kid": None},
        {"alg": None},
        {"alg": ["ES256"]},
    ],
)
def test_a_header_with_anything_else_is_refused(extra: dict[str, Any]) -> None:
    head = {"alg": "ES256", "kid": KEY.key_id, **extra}
    signing_input = f"{b64(head)}.{b64(payload())}"
    signature = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(
        signing_input.encode(),
        KEY.private,
    )
    text = refused(with_token(f"{signing_input}.{b64(signature)}"))
    assert "signature's header" in text


def test_a_header_with_a_key_twice_is_refused() -> None:
    head = b'{"alg":"ES256","alg":"none"}'
    assert "stands twice" in refused(with_token(f"{b64(head)}.{b64(payload())}.AAAA"))


# The payload


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"scope": "write"}, "for a scope"),
        ({"scope": None}, "for a scope"),
        ({"keyid": "somebody"}, "names another key"),
        ({"keyid": [KEY.key_id]}, "names another key"),
        ({"exp": 1}, '"exp" in the signature\'s payload'),
        ({"exclude_files": ["*"]}, "cannot be honoured"),
        ({"files": {}}, "no list of files"),
        ({"files": None}, "no list of files"),
        ({"files": ["manifest.json"]}, "exactly the fields"),
    ],
)
def test_a_payload_that_asks_for_more_is_refused(claims: dict[str, Any], message: str) -> None:
    assert message in refused(with_token(jws({**payload(), **claims})))


def test_a_payload_that_is_no_object_is_refused() -> None:
    token = jwt.api_jws.encode(b"[]", KEY.private, "ES256")
    assert "payload is an array" in refused(with_token(token))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "MD5"}, "by another algorithm than SHA-256"),
        ({"algorithm": "sha-256"}, "by another algorithm"),
        ({"algorithm": ""}, "by another algorithm"),
        ({"algorithm": None}, "by another algorithm"),
        ({"hash": "00"}, "64 lower-case hex digits"),
        ({"hash": "A" * 64}, "64 lower-case hex digits"),
        ({"hash": 7}, "64 lower-case hex digits"),
        ({"name": 7}, "not a text"),
        ({"exclude": True}, "exactly the fields"),
    ],
)
def test_a_signed_file_is_exactly_named_and_hashed(change: dict[str, Any], message: str) -> None:
    claims = payload()
    claims["files"][0].update(change)
    assert message in refused(with_token(jws(claims)))


def test_a_file_signed_twice_is_refused() -> None:
    claims = payload()
    claims["files"].append(dict(claims["files"][0]))
    assert "lists" in refused(with_token(jws(claims)))
