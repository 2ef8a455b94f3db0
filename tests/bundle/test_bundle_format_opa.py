"""What OPA's tools make is accepted here, and what is made here they accept.

OPA is stood for by `opa_reading`, its published rules read a second time.
"""

import json
from typing import Any

import opa_reading
import pytest
from bundle_samples import files, manifest, signed, trust
from cryptography.exceptions import InvalidSignature
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from scopebound_engine.bundle.format import archive, content
from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.format.digest import digest
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.signature import SIGNATURES, verify
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import SignatureError

KEYS = {name: SigningKey.generate(name) for name in ("es256", "rs256", "ps256")}
BY = pytest.mark.parametrize("algorithm", KEYS)

MODULES = {
    "scopebound/main.rego": b"package scopebound\n",
    "scopebound/deny/main_test.rego": b"package scopebound.deny_test\n",
}
DATA = {
    "scopebound": {
        "config": {"alpha": 1.0, "tiny": 1e-7, "huge": 2**63, "none": None, "on": True},
        "texts": ["<b>&</b>", "\u2028\u2029", 'tab\t"quote"\\', "\x07\x7f", "é\U0001f600", "/"],
        "\uffee": 1,
        "\U0001f600": 2,
    }
}
OPA_MANIFEST = {
    "revision": "2026-05-04",
    "roots": ["scopebound"],
    "rego_version": 1,
    "metadata": {"scopebound": manifest(), "author": "<ci@example>"},
}


def signing(name: str, **more: Any) -> dict[str, Any]:
    key = KEYS[name]
    return {"key": key.private, "algorithm": key.algorithm, **more}


# What OPA's tools make


@BY
def test_what_opa_build_makes_is_accepted(algorithm: str) -> None:
    data = opa_reading.build(MODULES, DATA, OPA_MANIFEST, **signing(algorithm, kid="release0"))
    bundle = verify(data, trust(KEYS[algorithm]))
    assert bundle.key_id == KEYS[algorithm].key_id
    assert bundle.manifest.version == "1.2.0"
    assert bundle.data() == DATA
    assert bundle.modules().keys() == MODULES.keys()


@BY
@pytest.mark.parametrize("claims", [{}, {"iss": "ci", "iat": 1_777_888_999, "scope": ""}])
def test_what_opa_sign_makes_is_accepted(algorithm: str, claims: dict[str, Any]) -> None:
    signature = opa_reading.signatures_file(files(), **signing(algorithm, claims=claims))
    bundle = verify(archive.write({**files(), SIGNATURES: signature}), trust(*KEYS.values()))
    assert bundle.key_id == KEYS[algorithm].key_id


@BY
def test_what_opa_signed_and_somebody_changed_is_refused(algorithm: str) -> None:
    data = opa_reading.build(MODULES, DATA, OPA_MANIFEST, **signing(algorithm, kid="release0"))
    sources = archive.read(data)
    keys = trust(KEYS[algorithm])
    for name, content_ in {
        "data.json": sources["data.json"].replace(b":1.0", b":1"),
        ".manifest": sources[".manifest"].replace(b"2026", b"2027"),
        "scopebound/main.rego": sources["scopebound/main.rego"] + b"\n",
    }.items():
        assert sources[name] != content_
        with pytest.raises(SignatureError, match=f"{name}: the file is not as it was signed"):
            verify(archive.write({**sources, name: content_}), keys)


def test_the_layout_of_documents_may_change_on_the_way() -> None:
    data = opa_reading.build(MODULES, DATA, OPA_MANIFEST, **signing("es256", kid="release0"))
    sources = archive.read(data)
    for name in ("data.json", ".manifest"):
        sources[name] = json.dumps(json.loads(sources[name]), indent=4).encode()
    keys = trust(KEYS["es256"])
    assert verify(archive.write(sources), keys).identity == verify(data, keys).identity


def test_the_shipped_policies_pass_when_opa_built_them() -> None:
    sources = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    modules = {name: sources[name] for name in sources if name.endswith(".rego")}
    own = json.loads(sources["manifest.json"])
    described = {"roots": own.pop("roots"), "rego_version": 1, "metadata": {"scopebound": own}}
    made = opa_reading.build(modules, content.data(sources), described, **signing("rs256"))
    gate.require(verify(made, trust(KEYS["rs256"])))


# What is made here


@BY
def test_what_is_signed_here_opa_accepts(algorithm: str) -> None:
    key = KEYS[algorithm]
    odd = json.dumps(DATA, indent=1).encode()
    sources = files(**{"scopebound/odd/data.json": odd, ".manifest": b'{ "roots": [""] }'})
    known = {key.key_id: (key.private.public_key(), key.algorithm)}
    opa_reading.verify(signed(key, sources), known)


def test_opa_refuses_what_is_not_as_it_was_signed() -> None:
    key, other = KEYS["es256"], SigningKey.generate("es256")
    sources = archive.read(signed(key))
    known = {key.key_id: (key.private.public_key(), key.algorithm)}
    changed = sources | {"scopebound/main.rego": b"package evil\n"}
    for wrong in (changed, sources | {"a.rego": b""}):
        with pytest.raises(AssertionError):
            opa_reading.verify(archive.write(wrong), known)
    swapped = {key.key_id: (other.private.public_key(), "ES256")}
    with pytest.raises(InvalidSignature):
        opa_reading.verify(archive.write(sources), swapped)


# Hashes


def array(items: list[str], blank: str) -> str:
    return f"[{blank}" + f"{blank},".join(items) + "]"


def object_(fields: dict[str, str], blank: str, escaped: bool) -> str:
    return (
        "{"
        + f",{blank}".join(
            f"{json.dumps(name, ensure_ascii=escaped)}{blank}:{fields[name]}" for name in fields
        )
        + "}"
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
SCALARS = st.sampled_from(
    ["null", "true", "false", "0", "-0", "1", "1.0", "1e2", "1E+2", "-1.50", "12345678901234567890"]
)
BLANKS = st.sampled_from(["", " ", "\n\t"])
DOCUMENTS = st.recursive(
    SCALARS | st.builds(json.dumps, TEXTS, ensure_ascii=st.booleans()),
    lambda inner: (
        st.builds(array, st.lists(inner, max_size=4), BLANKS)
        | st.builds(object_, st.dictionaries(TEXTS, inner, max_size=4), BLANKS, st.booleans())
    ),
    max_leaves=12,
)


@seed(20240603)
@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_both_readings_hash_every_document_alike(document: str) -> None:
    content_ = document.encode()
    assert digest("a/data.json", content_) == opa_reading.digest("a/data.json", content_)
