"""Bundles, keys and raw tar blocks that the tests of this folder are made of."""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import jwt

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import SIGNATURES, sign
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKey, TrustedKeys

END = bytes(1024)
KEY = SigningKey.generate("es256")


def manifest(**changes: Any) -> dict[str, Any]:
    fields = {
        "name": "sample",
        "version": "1.2.0",
        "entrypoint": "scopebound/decision",
        "deny_codes": [
            {"code": "SCOPE_VIOLATION", "severity": "medium", "description": "not granted"}
        ],
    }
    return {**fields, **changes}


def files(**changes: bytes) -> dict[str, bytes]:
    return {
        "scopebound/main.rego": b"package scopebound\n",
        "scopebound/main_test.rego": b"package scopebound_test\n",
        "scopebound/config/data.json": b'{"order": ["SCOPE_VIOLATION"], "alpha": 1.0}',
        "manifest.json": json.dumps(manifest()).encode(),
        **changes,
    }


def trust(*keys: SigningKey, name: str = "release") -> TrustedKeys:
    return TrustedKeys(
        tuple(
            TrustedKey(key.private.public_key(), key.algorithm, key.key_id, f"{name}{index}")
            for index, key in enumerate(keys)
        )
    )


def signed(key: SigningKey, sources: Mapping[str, bytes] | None = None) -> bytes:
    sources = files() if sources is None else sources
    return archive.write({**sources, SIGNATURES: sign(sources, key)})


def header(name: bytes, length: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A ustar header with a right checksum, whatever else is wrong with it."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[124:136] = fields.get("size", b"%011o\0" % length)
    block[156:157] = kind
    block[257:265] = fields.get("magic", b"ustar\x0000")
    prefix = fields.get("prefix", b"")
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b" " * 8
    block[148:156] = fields.get("checksum", b"%06o\0 " % sum(block))
    return bytes(block)


def member(name: bytes, content: bytes = b"x", kind: bytes = b"0", **fields: bytes) -> bytes:
    padding = bytes(-len(content) % 512)
    return header(name, len(content), kind, **fields) + content + padding


def pax(**records: str) -> bytes:
    """The content of a pax header; `__` in a keyword stands for a dot."""
    content = b""
    for keyword, value in records.items():
        body = f" {keyword.replace('__', '.')}={value}\n".encode()
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length += 1
        content += str(length).encode() + body
    return content


def tar_gz(*members: bytes, end: bytes = END) -> bytes:
    return gzip.compress(b"".join(members) + end, mtime=0)


def b64(data: bytes | dict[str, Any]) -> str:
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def payload(key: SigningKey = KEY, sources: dict[str, bytes] | None = None) -> dict[str, Any]:
    document = json.loads(sign(sources or files(), key))
    read: dict[str, Any] = jwt.decode(
        document["signatures"][0], options={"verify_signature": False}
    )
    return read


def jws(claims: dict[str, Any], key: SigningKey = KEY, **headers: Any) -> str:
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), key.private, key.algorithm, {"kid": key.key_id, **headers}
    )


def with_signature(document: Any, sources: dict[str, bytes] | None = None) -> bytes:
    return archive.write({**(sources or files()), SIGNATURES: json.dumps(document).encode()})


def with_token(token: str, sources: dict[str, bytes] | None = None) -> bytes:
    return with_signature({"signatures": [token]}, sources)
