"""OPA's published rules for signed bundles, read a second time and apart from the engine.

From https://www.openpolicyagent.org/docs/management-bundles, "Signing", and from what OPA's
v1/bundle (hash.go, sign.go, verify.go, bundle.go) does where that page is silent. Nothing of the
engine is used here: documents are hashed from their tokens, signatures are made and checked with
plain cryptography, archives are written and read with the standard library.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

TOKEN = re.compile(rb'[ \t\r\n]*([][{},:]|"(?:[^"\\]|\\.)*"|[^][{},:"\s]+)[ \t\r\n]*')
SHORT = {'"': b'\\"', "\\": b"\\\\", "\b": b"\\b", "\f": b"\\f", "\n": b"\\n", "\r": b"\\r"}
SHORT["\t"] = b"\\t"
PLAIN = {b'\\"': '"', b"\\\\": "\\", b"\\/": "/", b"\\b": "\b", b"\\f": "\f", b"\\n": "\n"}
PLAIN |= {b"\\r": "\r", b"\\t": "\t"}


# Hashes


def digest(name: str, content: bytes) -> str:
    """The SHA-256 of a file, in hex: of its bytes, or of its document if it holds one."""
    if name.rpartition("/")[2] in {"data.json", ".manifest"}:
        content = document(iter(TOKEN.findall(content)))
    return hashlib.sha256(content).hexdigest()


def document(tokens: Iterator[bytes]) -> bytes:
    """What is hashed of the value that begins with the next token."""
    return value(next(tokens), tokens)


def value(token: bytes, tokens: Iterator[bytes]) -> bytes:
    if token == b"[":
        return b"[" + b",".join(items(tokens)) + b"]"
    if token == b"{":
        # In the order of the keys' bytes, which are not yet escaped.
        fields = sorted(members(tokens))
        return b"{" + b",".join(string(key) + b":" + of for key, of in fields) + b"}"
    # Numbers keep their digits; true, false and null have one spelling.
    return string(text(token)) if token[:1] == b'"' else token


def items(tokens: Iterator[bytes]) -> Iterator[bytes]:
    for token in tokens:
        if token == b"]":
            return
        if token != b",":
            yield value(token, tokens)


def members(tokens: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for token in tokens:
        if token == b"}":
            return
        if token != b",":
            assert next(tokens) == b":"
            yield text(token), document(tokens)


def text(token: bytes) -> bytes:
    """The UTF-8 of a string, without its quotes and escapes."""
    parts = re.findall(rb"\\u[0-9a-fA-F]{4}|\\.|[^\\]+", token[1:-1])
    utf16 = b"".join(
        bytes.fromhex(part[2:].decode())
        if part[:2] == b"\\u"
        else (PLAIN[part] if part[:1] == b"\\" else part.decode()).encode("utf-16-be")
        for part in parts
    )
    return utf16.decode("utf-16-be").encode()


def string(utf8: bytes) -> bytes:
    """A string as Go's encoding/json writes it when it leaves HTML alone."""
    return b'"' + b"".join(map(character, utf8.decode())) + b'"'


def character(char: str) -> bytes:
    if char in SHORT:
        return SHORT[char]
    if char < " " or char in "\u2028\u2029":
        return b"\\u%04x" % ord(char)
    return char.encode()


# Signatures (RFC 7518, 3.3 to 3.5)


def raw_signature(data: bytes, key: PrivateKey, algorithm: str) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
    return key.sign(data, rsa_padding(algorithm), SHA256())


def check_raw_signature(raw: bytes, data: bytes, key: PublicKey, algorithm: str) -> None:
    """Raises InvalidSignature."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        assert (algorithm, len(raw)) == ("ES256", 64)
        numbers = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
        key.verify(utils.encode_dss_signature(*numbers), data, ec.ECDSA(SHA256()))
    else:
        key.verify(raw, data, rsa_padding(algorithm), SHA256())


def rsa_padding(algorithm: str) -> padding.AsymmetricPadding:
    return {
        "RS256": padding.PKCS1v15(),
        "PS256": padding.PSS(padding.MGF1(SHA256()), salt_length=32),
    }[algorithm]


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


# Bundles


def signatures_file(
    files: Mapping[str, bytes],
    key: PrivateKey,
    algorithm: str,
    kid: str = "",
    claims: Mapping[str, Any] | None = None,
) -> bytes:
    """`.signatures.json`: as `opa sign` writes it, or `opa build`, which names the key."""
    listed = [
        {"name": name, "hash": digest(name, files[name]), "algorithm": "SHA-256"} for name in files
    ]
    header = {"alg": algorithm} | ({"kid": kid} if kid else {})
    # A file of claims takes the place of the keyid, which is deprecated.
    payload = {"files": listed} | (claims or ({"keyid": kid} if kid else {}))
    signed = b".".join(encoded(json.dumps(part).encode()) for part in (header, payload))
    token = signed + b"." + encoded(raw_signature(signed, key, algorithm))
    return json.dumps({"signatures": [token.decode()]}, indent=1).encode()


def build(
    modules: Mapping[str, bytes], data: Any, manifest: Mapping[str, Any], **signing: Any
) -> bytes:
    """What `opa build --signing-key` makes; `signing` is for `signatures_file`.

    All data are in one data.json, Go escapes HTML in it, member names begin with a slash.
    """
    files = dict(modules)
    files["data.json"] = go_json(data)
    files[".manifest"] = go_json(manifest)
    signature = signatures_file(files, **signing)
    return archive(
        {"data.json": files["data.json"]}
        | dict(modules)
        | {".signatures.json": signature, ".manifest": files[".manifest"]}
    )


def go_json(document: Any) -> bytes:
    """As Go's encoding/json writes it by default, with a line break as its Encoder adds one."""
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    for char in "<>&\u2028\u2029":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return written.encode() + b"\n"


def archive(files: Mapping[str, bytes]) -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        for name, content in files.items():
            info = tarfile.TarInfo(f"/{name}")
            info.size, info.mode = len(content), 0o600
            writer.addfile(info, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)


def verify(data: bytes, keys: Mapping[str, tuple[PublicKey, str]]) -> None:
    """What an OPA server with these keys checks of a bundle. Raises where it would refuse."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as reader:
        files = {m.name.lstrip("/"): reader.extractfile(m).read() for m in reader if m.isreg()}
    (token,) = json.loads(files.pop(".signatures.json"))["signatures"]
    signed, _, raw = token.rpartition(".")
    header, payload = (json.loads(decoded(part)) for part in signed.split("."))
    # The key decides the algorithm: what the header says of it is not asked.
    key, algorithm = keys[header.get("kid") or payload["keyid"]]
    check_raw_signature(decoded(raw), signed.encode(), key, algorithm)
    assert payload.get("scope", "") == ""
    listed = {item["name"]: item for item in payload["files"]}
    assert listed.keys() == files.keys()
    for name, item in listed.items():
        assert item["algorithm"] == "SHA-256"
        assert item["hash"] == digest(name, files[name]), name
