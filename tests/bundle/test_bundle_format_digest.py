"""Hashes are those of OPA.

The first vectors stand in OPA's own tests (v1/bundle/sign_test.go). The others were computed with
Go's encoding/json and crypto/sha256 by the algorithm of OPA's v1/bundle/hash.go.
"""

import hashlib

import opa_reading
import pytest

from scopebound_engine.bundle.format.digest import digest, hashed_bytes
from scopebound_engine.errors import InputError


@pytest.mark.parametrize(
    ("name", "content", "algorithm", "expected"),
    [
        (
            ".manifest",
            b'{"revision": "quickbrownfaux"}',
            "md5",
            "a005c38a509dc2d5a7407b9494efb2ad",
        ),
        (
            "a/b/c/data.json",
            b"[1,2,3]",
            "sha512",
            "60f7b5dc86ded48785436192a08dbfd04894d7f1b417c4f8d3714679a7f78cb3"
            "c833f16a8559a1cf1f32968747dc1d95ef34826263dacf125ded8f5c374be4c0",
        ),
        ("a/b/d/data.json", b"true", "md5", "b326b5062b2f0e69046810717534cb09"),
        (
            "data.json",
            b'{"x": {"y": true}, "a": {"b": {"z": true}}}',
            "md5",
            "36669864a622563256817033b1fc53db",
        ),
    ],
)
def test_what_is_hashed_is_what_opas_tests_hash(
    name: str, content: bytes, algorithm: str, expected: str
) -> None:
    assert hashlib.new(algorithm, hashed_bytes(name, content)).hexdigest() == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "data.json",
            b'{ "b" : 1.0, "a": [1e2, -0, 12345678901234567890] }',
            "d213a8f228a9a1c09bd5c3c2abe8443e17eb0a1d90c5d2748b95da4e14323cf5",
        ),
        (
            "scopebound/config/data.json",
            rb'{"<&>":"\u2028\u2029\u0007\b\f\u00e9\ud83d\ude00","\uffee":null,"\ud83d\ude00":true}',
            "c94eeef29f26be2bfb9b161455468a0745ad2ad26cd674a9192d8dd27c4c466f",
        ),
        (
            ".manifest",
            b'{"roots": [""], "revision": ""}\n',
            "d20a1852c1958a44198fa6c902c9c9f3a5bf16c56625ed5f7a2044888637b816",
        ),
        (
            "manifest.json",
            b'{ "b" : 1 }\n',
            "31196cbf16df308f8a1587e735200ca88a3932a2d03c8c3ce31cedf7e4a4913a",
        ),
        (
            "scopebound/main.rego",
            b"package scopebound\n",
            "6e1a3b38c1ef810b558de20d29814e7bd3036e8b9e63955cb422c85027bf164c",
        ),
    ],
)
def test_hashes_are_those_that_go_computes(name: str, content: bytes, expected: str) -> None:
    assert digest(name, content) == opa_reading.digest(name, content) == expected


def test_the_layout_of_a_document_does_not_matter_and_that_of_other_files_does() -> None:
    tight, loose = b'{"a":[1,"x"],"b":null}', b'{ "b": null,\n "a": [1, "\\u0078"] }\n'
    assert digest("x/data.json", tight) == digest("x/data.json", loose)
    assert digest(".manifest", tight) == digest(".manifest", loose)
    assert digest("manifest.json", tight) != digest("manifest.json", loose)
    assert digest("x.rego", tight) != digest("x.rego", loose)


@pytest.mark.parametrize(("one", "other"), [(b"1", b"1.0"), (b"0", b"-0"), (b"100", b"1e2")])
def test_a_number_is_hashed_as_it_is_spelled(one: bytes, other: bytes) -> None:
    assert digest("data.json", one) != digest("data.json", other)


def test_a_key_that_looks_like_a_number_stays_a_text() -> None:
    assert hashed_bytes("data.json", b'{"1": "1", "a": 1}') == b'{"1":"1","a":1}'


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a":1,"a":1}', b"NaN", b"\xff", b"\xef\xbb\xbf{}", rb'"\ud800"']
)
def test_a_document_that_parsers_disagree_on_has_no_hash(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^a/data\.json: "):
        digest("a/data.json", content)
