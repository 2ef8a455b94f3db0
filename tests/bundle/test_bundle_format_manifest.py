"""A manifest is a value whose every field is as it must be, or a list of what is not."""

import json
from typing import Any

import pytest
from bundle_samples import manifest

from scopebound_engine.bundle.format.manifest import (
    REFERENCE_SEVERITIES,
    RESERVED_CODES,
    DenyCode,
    Manifest,
)
from scopebound_engine.bundle.format.thresholds import Thresholds
from scopebound_engine.errors import ManifestError


def load(document: Any) -> Manifest:
    return Manifest.from_bytes(json.dumps(document).encode())


def refused(document: Any) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load(document)
    return [finding.message for finding in caught.value.findings]


def deny(code: Any = "MY_CODE", severity: Any = "low", description: Any = "x") -> dict[str, Any]:
    return {"code": code, "severity": severity, "description": description}


def test_a_manifest_is_read_into_a_value() -> None:
    read = load(manifest(version="2.0.0-rc.1", thresholds={"min_tests": 8}, matchers={}))
    assert (read.name, read.version, read.entrypoint) == (
        "sample",
        "2.0.0-rc.1",
        "scopebound/decision",
    )
    assert read.deny_codes == (DenyCode("SCOPE_VIOLATION", "medium", "not granted"),)
    assert read.thresholds == Thresholds(min_tests=8)
    assert read.semantic_version < load(manifest(version="2.0.0")).semantic_version
    assert load(manifest()).thresholds == Thresholds()


@pytest.mark.parametrize("field", ["name", "version", "entrypoint", "deny_codes"])
def test_a_missing_field_is_named(field: str) -> None:
    document = manifest()
    del document[field]
    assert refused(document) == [f"{field} is missing"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "../x"),
        ("name", "Shipped"),
        ("name", "a" * 65),
        ("name", 1),
        ("version", "1.0"),
        ("version", 1),
        ("version", None),
        ("entrypoint", "scopebound"),
        ("entrypoint", "/scopebound/decision"),
        ("entrypoint", "data.scopebound.decision"),
        ("entrypoint", "scopebound/decision\n"),
        ("entrypoint", ["a/b"]),
        ("deny_codes", []),
        ("deny_codes", {"SCOPE_VIOLATION": {}}),
        ("deny_codes", None),
        ("thresholds", []),
        ("thresholds", {"mutation_score": 90}),
        ("thresholds", {"min_tests": 1.5}),
        ("thresholds", {"min_tests": True}),
        ("thresholds", {"max_rules": -1}),
        ("matchers", []),
        ("revision", 7),
        ("roots", ""),
        ("roots", [1]),
        ("metadata", []),
        ("rego_version", 0),
        ("rego_version", True),
        ("rego_version", 1.5),
        ("file_rego_versions", {"a.rego": 0}),
        ("wasm", [{"entrypoint": "a/b", "module": "/policy.wasm"}]),
        ("wasm", {}),
    ],
)
def test_a_field_that_is_not_as_it_must_be_is_named(field: str, value: Any) -> None:
    messages = refused(manifest(**{field: value}))
    assert len(messages) == 1
    assert field in messages[0] or (field == "file_rego_versions" and "rego" in messages[0])


def test_opas_own_fields_are_allowed() -> None:
    opa = {
        "revision": "4f2c",
        "roots": [""],
        "rego_version": 1,
        "file_rego_versions": {"/a.rego": 1},
        "metadata": {"team": "risk"},
        "wasm": [],
    }
    assert load(manifest(**opa)).raw["revision"] == "4f2c"


def test_an_unknown_field_is_refused_with_those_that_are_known() -> None:
    (message,) = refused(manifest(entry_point="a/b"))
    assert message.startswith('"entry_point" is not a field of a manifest; known are name, version')


@pytest.mark.parametrize("code", sorted(RESERVED_CODES))
def test_the_engines_own_codes_cannot_be_declared(code: str) -> None:
    assert refused(manifest(deny_codes=[deny(code)])) == [
        f"deny_codes[0]: {code} is the engine's own; choose another"
    ]


@pytest.mark.parametrize("code", ["AB", "aBC", "1AB", "_AB", "A-B", "A" * 65, "ABC\n", "", 7, None])
def test_a_code_has_the_shape_of_a_code(code: Any) -> None:
    (message,) = refused(manifest(deny_codes=[deny(code)]))
    assert "code must be 3 to 64" in message


@pytest.mark.parametrize(("code", "severity"), sorted(REFERENCE_SEVERITIES.items()))
def test_the_codes_of_the_reference_keep_its_severities(code: str, severity: str) -> None:
    assert load(manifest(deny_codes=[deny(code, severity)]))
    other = "critical" if severity != "critical" else "low"
    assert refused(manifest(deny_codes=[deny(code, other)])) == [
        f"deny_codes[0]: the severity of {code} is {severity}, as in the API reference"
    ]


def test_there_are_nine_codes_of_the_reference() -> None:
    assert len(REFERENCE_SEVERITIES) == 9


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (deny(severity="fatal"), "severity must be one of low, medium, high, critical"),
        (deny(severity=["low"]), "severity must be one of"),
        (deny(description=""), "description must be a text"),
        (deny(description="x" * 501), "description must be a text"),
        (deny(description=None), "description must be a text"),
        ({"code": "MY_CODE", "severity": "low"}, "exactly the fields"),
        ({**deny(), "guidance": "none"}, "exactly the fields"),
        ("MY_CODE", "exactly the fields"),
    ],
)
def test_a_deny_code_that_is_not_whole_is_refused(item: Any, message: str) -> None:
    (found,) = refused(manifest(deny_codes=[item]))
    assert message in found


def test_a_code_declared_twice_is_refused() -> None:
    assert refused(manifest(deny_codes=[deny(), deny()])) == [
        "deny_codes[1]: the code is declared twice"
    ]


def test_all_that_is_wrong_is_said_at_once() -> None:
    codes = [deny("JWT_INVALID", "fatal"), deny("SCOPE_VIOLATION", "low"), 1]
    assert len(refused({"version": 1, "deny_codes": codes, "x": 1})) == 8


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"name":"a","name":"b"}', b"[]", b"null"])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.from_bytes(data)
    assert caught.value.findings[0].file == "manifest.json"


# The two files


def of(**files: Any) -> Manifest:
    names = {"project": "manifest.json", "opa": ".manifest"}
    return Manifest.of({names[key]: json.dumps(value).encode() for key, value in files.items()})


def disagree(**files: Any) -> str:
    with pytest.raises(ManifestError) as caught:
        of(**files)
    return str(caught.value)


def test_a_bundle_needs_a_manifest() -> None:
    with pytest.raises(ManifestError, match="no manifest"):
        Manifest.of({"a.rego": b""})


def test_either_file_alone_will_do() -> None:
    assert of(project=manifest()).name == "sample"
    assert of(opa=manifest()).name == "sample"


def test_opa_build_carries_the_fields_over_in_its_metadata() -> None:
    built = {"revision": "", "roots": [""], "rego_version": 1}
    assert of(opa={**built, "metadata": {"scopebound": manifest()}}).version == "1.2.0"
    assert "name is missing" in disagree(opa=built)
    assert "metadata.scopebound is a string" in disagree(opa={"metadata": {"scopebound": "x"}})
    twice = {**manifest(), "metadata": {"scopebound": {"name": "other"}}}
    assert "name stands here and under metadata.scopebound" in disagree(opa=twice)


@pytest.mark.parametrize(
    "opa",
    [
        {},
        {"revision": "4f2c", "roots": [""], "rego_version": 1},
        {"metadata": {"scopebound": {"version": "1.2.0"}, "team": "risk"}},
        manifest(),
    ],
)
def test_two_manifests_that_agree_are_one(opa: dict[str, Any]) -> None:
    both = of(project=manifest(metadata={"team": "ops"}), opa=opa)
    assert both.version == "1.2.0"
    assert both.raw["metadata"] == {"team": "ops"}


@pytest.mark.parametrize(
    "opa",
    [
        {"version": "1.3.0"},
        {"metadata": {"scopebound": {"version": "1.3.0"}}},
        manifest(deny_codes=[deny()]),
        manifest(entrypoint="other/decision"),
    ],
)
def test_two_manifests_that_differ_are_refused(opa: dict[str, Any]) -> None:
    assert "is not what manifest.json says" in disagree(project=manifest(), opa=opa)


@pytest.mark.parametrize("opa", [{"rego_version": 0}, {"unknown": 1}, {"wasm": [{}]}, [], "x"])
def test_a_wrong_second_manifest_is_refused(opa: Any) -> None:
    assert ".manifest: " in disagree(project=manifest(), opa=opa)


def test_true_is_not_one_between_manifests() -> None:
    text = disagree(
        project=manifest(thresholds={"min_tests": 1}), opa={"thresholds": {"min_tests": True}}
    )
    assert '"thresholds" is not what manifest.json says' in text
