"""An unfit bundle is refused precisely, recorded, and without any effect; on both databases."""

import hashlib
from collections.abc import Callable

import pytest
from bundle_api import ROOT, RULE, BundleApi, last_event, nothing_changes, problem, small_files

from scopebound_engine.api.bundles import MOST_BYTES
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.registry.events import MOST_FINDINGS
from scopebound_engine.bundle.trust.keys import SigningKey
from tests.bundles import packed
from tests.description import assert_valid, schema_of


def with_rule(source: str) -> Callable[[BundleApi], bytes]:
    return lambda api: api.bundle(**{RULE: source.encode()})


def flipped(api: BundleApi) -> bytes:
    data = bytearray(api.bundle())
    data[len(data) // 2] ^= 1
    return bytes(data)


def unsigned(api: BundleApi) -> bytes:
    return archive.write(small_files(api.next_version()))


def foreign(api: BundleApi) -> bytes:
    return packed(SigningKey.generate("es256"), small_files(api.next_version()))


def changed_after_signing(api: BundleApi) -> bytes:
    files = archive.read(api.bundle())
    return archive.write({**files, RULE: files[RULE] + b"\n"})


ALLOWS_ALL = """package scopebound

import rego.v1

decision := {"allow": true, "violations": []}
"""
ALLOWS_ANY_TOOL = """package scopebound

import rego.v1

default decision := {"allow": false, "violations": [{
	"code": "SCOPE_VIOLATION",
	"severity": "medium",
	"reason": "nothing is granted",
	"retry_guidance": "none",
}]}

decision := {"allow": true, "violations": []} if input.tool_name
"""
DENIES = """package scopebound

import rego.v1

decision := {"allow": false, "violations": [{
	"code": "SCOPE_VIOLATION",
	"severity": "medium",
	"reason": "nothing is granted",
	"retry_guidance": "none",
}]} if {
	%s
}
"""
FAILING_TEST = b"""package scopebound_test

import rego.v1

test_that_fails if {
	1 == 2
}
"""

# What is sent, and what one of the findings says: its file, its line, words of its message.
REFUSED: dict[str, tuple[Callable[[BundleApi], bytes], str, int, str]] = {
    "nothing": (lambda _: b"", "", 0, ""),
    "no archive": (lambda _: b"junk" * 100, "", 0, "gzip"),
    "its end cut off": (lambda api: api.bundle()[:-30], "", 0, ""),
    "bytes after its end": (lambda api: api.bundle() + b"\0", "", 0, ""),
    "one bit flipped": (flipped, "", 0, ""),
    "unsigned": (unsigned, "", 0, "not signed"),
    "signed by a stranger": (foreign, "", 0, "no trusted key"),
    "changed after signing": (changed_after_signing, RULE, 0, "not as it was signed"),
    "no manifest": (
        lambda api: packed(api.key, {RULE: small_files("1.0.0")[RULE]}),
        "",
        0,
        "manifest.json",
    ),
    "not UTF-8": (lambda api: api.bundle(**{RULE: b"package scopebound\n\xff"}), RULE, 2, "UTF-8"),
    "a syntax error": (with_rule("package scopebound\n\ndecision := {"), RULE, 3, ""),
    "an unknown function": (with_rule(DENIES % "no_such(input.tool_name)"), RULE, 11, "no_such"),
    "an unknown input": (with_rule(DENIES % 'input.tool_nam == "x"'), RULE, 11, "tool_nam"),
    "a code undeclared": (
        with_rule((DENIES % "true").replace("SCOPE_VIOLATION", "MADE_UP")),
        RULE,
        5,
        "MADE_UP",
    ),
    "a failing test": (
        lambda api: api.bundle(**{"scopebound/main_test.rego": FAILING_TEST}),
        "scopebound/main_test.rego",
        6,
        "test_that_fails",
    ),
    "everything allowed": (with_rule(ALLOWS_ALL), "", 0, "allow"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unfit_bundle_is_refused_with_its_findings_and_recorded(
    api: BundleApi, name: str
) -> None:
    make, file, line, words = REFUSED[name]
    data = make(api)
    with nothing_changes(api):
        answer = api.upload(data, "description=refused")
    refusal = problem(answer, 422, "bundle-refused")
    assert_valid(schema_of("Problem"), refusal)
    assert "\n" not in refusal["detail"]
    assert any(
        (not file or finding["file"] == file)
        and (not line or finding["line"] == line)
        and words in finding["message"] + finding["remedy"]
        for finding in refusal["findings"]
    ), refusal["findings"]
    event = last_event(api)
    assert event["kind"] == "bundle.refused"
    assert event["checksum"] == hashlib.sha256(data).hexdigest()
    assert (event["findings"], event["bundle_id"]) == (refusal["findings"][:MOST_FINDINGS], None)
    assert event["api_key_id"] in {key.id for key in api.services.api_keys.list()}
    assert event["reason"]


def test_a_bundle_over_the_limit_is_not_read_into_memory(api: BundleApi) -> None:
    with nothing_changes(api):
        answer = api.upload(b"\0" * (MOST_BYTES + 1))
        assert str(MOST_BYTES) in problem(answer, 413, "too-large")["detail"]


def test_the_floor_is_acknowledged_by_an_admin_and_recorded(api: BundleApi) -> None:
    data, query = with_rule(ALLOWS_ANY_TOOL)(api), "acknowledge_floor=true"
    with nothing_changes(api):
        refused = problem(api.upload(data), 422, "bundle-refused")["findings"]
        assert {finding["step"] for finding in refused} == {"floor"}
        uploader = api.with_scopes("bundles", "rollback")
        answer = uploader.simulate_post(f"{ROOT}/upload", body=data, query_string=query)
        assert "admin" in problem(answer, 403, "forbidden")["detail"]
        tried = api.upload(data, f"dry_run=true&{query}").json
    allowed = [{**finding, "level": "warning"} for finding in refused]
    assert tried["warnings"] == allowed
    uploaded = api.uploaded(data, query)
    assert uploaded["warnings"] == allowed == api.get(f"/{uploaded['id']}")["warnings"]
    activated, *before = api.events()
    acknowledged = next(event for event in before if event["kind"] == "bundle.acknowledged")
    assert acknowledged["findings"] == allowed
    assert acknowledged["checksum"] == uploaded["checksum"]
    assert acknowledged["api_key_id"] == activated["api_key_id"]

    # What was acknowledged once is known when it is rolled back to.
    api.uploaded()
    assert api.rollback(uploaded["id"]).status_code == 200
