"""`.signatures.json` taken apart: one compact JWS (RFC 7515), and nothing in it that hides.

Nothing here says that the signature fits; `signature.verify` asks that between reading the header
and reading the payload.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine import base64url, strict_json
from scopebound_engine.errors import Finding, InputError, SignatureError

SIGNATURES: Final = ".signatures.json"
HASH: Final = "SHA-256"

_HEX: Final = re.compile(r"[0-9a-f]{64}")
# jwk, jku, x5u, x5c bring a key along, crit and b64 change what is signed: none has a place here.
_HEADERS: Final = frozenset({"alg", "kid", "typ"})
# Those of OPA's DecodedSignature, v1/bundle/bundle.go.
_CLAIMS: Final = frozenset({"files", "keyid", "scope", "iss", "iat"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """The only signature of a bundle. `algorithm` and `kid` are what it says of itself."""

    token: str
    algorithm: str
    kid: str | None
    payload: bytes

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "Envelope":
        """The envelope among a bundle's files. Raises SignatureError."""
        token = _only_token(files)
        header_part, payload_part, signature_part = token.split(".")
        header = _json_object(_decoded(header_part), "the signature's header")
        unknown = sorted(header.keys() - _HEADERS)
        if unknown:
            raise refusal(
                f"{_listed(unknown)} in the signature's header; only alg, kid, typ may be"
            )
        for name in sorted(_HEADERS & header.keys()):
            if not isinstance(header[name], str):
                raise refusal(f"{name} in the signature's header is not a text")
        if "alg" not in header:
            raise refusal("the signature's header names no algorithm (alg)")
        _decoded(signature_part)
        return cls(token, header["alg"], header.get("kid"), _decoded(payload_part))

    def signed_files(self, key_names: frozenset[str]) -> dict[str, str]:
        """The signed hash, in hex, of each file. `key_names` are those of the key that fits.

        Raises SignatureError.
        """
        payload = _json_object(self.payload, "the signature's payload")
        unknown = sorted(payload.keys() - _CLAIMS)
        if unknown:
            raise refusal(
                f"{_listed(unknown)} in the signature's payload, which cannot be honoured here",
                f"sign without; known are {', '.join(sorted(_CLAIMS))}",
            )
        if payload.get("scope", "") != "":
            raise refusal("the signature is for a scope, and none is configured here")
        # OPA's deprecated place of the kid; `opa build` writes both.
        if str(payload.get("keyid", "")) not in {*key_names, ""}:
            raise refusal("keyid in the signature's payload names another key than signed")
        if not isinstance(payload.get("files"), list):
            raise refusal("the signature's payload has no list of files")
        signed: dict[str, str] = {}
        for item in payload["files"]:
            name, value = _signed_file(item)
            if name in signed:
                raise refusal(f"the signature lists {_quoted(name)} twice")
            signed[name] = value
        return signed


def refusal(message: str, remedy: str = "") -> SignatureError:
    """The error for a signature that is not accepted, with its one finding."""
    finding = Finding("signature", message, file=SIGNATURES, remedy=remedy)
    return SignatureError("the signature is not accepted", [finding])


def _only_token(files: Mapping[str, bytes]) -> str:
    if SIGNATURES not in files:
        raise refusal("the bundle is not signed", "scopebound-engine bundle sign FILE --key KEY")
    document = _json_object(files[SIGNATURES], "the signature file")
    if document.keys() != {"signatures"}:
        raise refusal('the signature file must have the field "signatures" and no other')
    tokens = document["signatures"]
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise refusal("the signature file must hold exactly one signature, a text")
    if tokens[0].count(".") != 2:
        raise refusal("the signature is not a compact JWS: three parts with dots between")
    return tokens[0]


def _signed_file(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict) or item.keys() != {"name", "hash", "algorithm"}:
        raise refusal("a signed file must have exactly the fields name, hash and algorithm")
    name, value, algorithm = item["name"], item["hash"], item["algorithm"]
    if not isinstance(name, str):
        raise refusal("the name of a signed file is not a text")
    if algorithm != HASH:
        raise refusal(f"{_quoted(name)} is hashed by another algorithm than {HASH}")
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise refusal(f"the hash of {_quoted(name)} is not 64 lower-case hex digits")
    return name, value


def _json_object(data: bytes, what: str) -> dict[str, Any]:
    try:
        document = strict_json.loads(data)
    except InputError as error:
        raise refusal(f"{what} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise refusal(f"{what} is {strict_json.type_name(document)}, not an object")
    return document


def _decoded(part: str) -> bytes:
    try:
        return base64url.decode(part)
    except ValueError as error:
        raise refusal(f"a part of the signature is {error}") from error


def _listed(names: list[str]) -> str:
    return ", ".join(map(_quoted, names[:5]))


def _quoted(text: str) -> str:
    return strict_json.quote(text[:120])
