"""What the bundle API refuses: precisely, recorded, and without any effect; on both databases."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bundle_api import (
    NOBODY,
    ROOT,
    RULE,
    BundleApi,
    bundle_api,
    on_database,
    problem,
    small_files,
)
from sqlalchemy import update

from scopebound_engine.api.bundles import MOST_BYTES
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.lanes import Lanes
from scopebound_engine.bundle.registry.events import MOST_FINDINGS
from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.database.engine import open_database, transaction
from scopebound_engine.database.schema import bundles
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.node import database_url
from tests.bundles import packed
from tests.description import assert_valid, schema_of

NOTES = {
    "revoked": 'revoked = 2026-01-01T00:00:00Z\nreason = "stolen"\n',
    "expired": "not_after = 2026-01-01T00:00:00Z\n",
    "early": "not_before = 2999-01-01T00:00:00Z\n",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BundleApi]:
    with on_database(request, tmp_path_factory) as made:
        yield made


@contextmanager
def nothing_changes(api: BundleApi) -> Iterator[None]:
    before = api.state()
    yield
    assert api.state() == before


@contextmanager
def trusted(api: BundleApi, key: SigningKey, notes: str = "") -> Iterator[None]:
    """While the block runs the key is trusted, as far as the notes beside it allow."""
    folder = api.services.config.trusted_keys_dir
    (folder / "other.pem").write_text(key.public_pem())
    (folder / "other.toml").write_text(notes)
    yield
    for name in ("other.pem", "other.toml"):
        (folder / name).unlink()


def last_event(api: BundleApi) -> dict[str, Any]:
    return api.events()[0]


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


@pytest.mark.parametrize(
    ("name", "words"), [("revoked", "revoked"), ("expired", "2026-01-01"), ("early", "2999-01-01")]
)
def test_a_key_out_of_its_time_signs_nothing_in(api: BundleApi, name: str, words: str) -> None:
    key = SigningKey.generate("es256")
    data = packed(key, small_files(api.next_version()))
    with nothing_changes(api), trusted(api, key, NOTES[name]):
        refusal = problem(api.upload(data), 422, "bundle-refused")
    assert words in refusal["detail"]
    assert last_event(api)["kind"] == "bundle.refused"


def test_two_keys_may_sign_at_once(api: BundleApi) -> None:
    key = SigningKey.generate("eddsa")
    with trusted(api, key):
        assert api.uploaded(packed(key, small_files(api.next_version())))["is_active"]
        assert api.uploaded()["is_active"]


def test_an_older_version_is_told_of_rollback(api: BundleApi) -> None:
    active = api.uploaded()
    with nothing_changes(api):
        refusal = problem(api.upload(api.bundle("1.0.0")), 409, "conflict")
    (finding,) = refusal["findings"]
    assert finding["step"] == "version"
    assert active["version"] in finding["message"]
    assert "/rollback/" in finding["remedy"]
    event = last_event(api)
    assert (event["kind"], event["version"]) == ("bundle.refused", "1.0.0")
    assert event["findings"] == refusal["findings"]


def test_a_former_version_is_told_of_its_rollback(api: BundleApi) -> None:
    data = api.bundle()
    former = api.uploaded(data)
    api.uploaded()
    path = f"{ROOT}/rollback/{former['id']}"
    with nothing_changes(api):
        for answer in (
            api.upload(data),
            api.upload(data, "activate=false"),
            api.http.simulate_post(f"{ROOT}/{former['id']}/activate"),
        ):
            (finding,) = problem(answer, 409, "conflict")["findings"]
            assert path in finding["remedy"]
            assert last_event(api)["kind"] == "bundle.refused"


def test_what_never_was_in_force_is_told_of_its_activation(api: BundleApi) -> None:
    stored = api.uploaded(query="activate=false")
    with nothing_changes(api):
        refusal = problem(api.rollback(stored["id"]), 409, "conflict")
    assert f"{ROOT}/{stored['id']}/activate" in refusal["detail"]
    event = last_event(api)
    assert (event["kind"], event["bundle_id"]) == ("bundle.refused", stored["id"])


def test_a_stored_version_that_was_overtaken_is_not_activated(api: BundleApi) -> None:
    stored = api.uploaded(query="activate=false")
    api.uploaded()
    with nothing_changes(api):
        answer = api.http.simulate_post(f"{ROOT}/{stored['id']}/activate")
        problem(answer, 409, "conflict")


def test_the_version_in_force_is_not_deleted(api: BundleApi) -> None:
    with nothing_changes(api):
        answer = api.http.simulate_delete(f"{ROOT}/{api.active()['id']}")
        assert "in force" in problem(answer, 409, "conflict")["detail"]


def test_no_way_leads_back_to_what_a_revoked_key_signed(api: BundleApi) -> None:
    key = SigningKey.generate("es256")
    with trusted(api, key):
        former = api.uploaded(packed(key, small_files(api.next_version())))
        api.uploaded()
    with nothing_changes(api), trusted(api, key, NOTES["revoked"]):
        refusal = problem(api.rollback(former["id"]), 422, "bundle-refused")
        assert "stolen" in refusal["detail"]
    event = last_event(api)
    assert (event["kind"], event["bundle_id"]) == ("bundle.refused", former["id"])
    assert (event["key_id"], event["checksum"]) == (key.key_id, former["checksum"])


def damage(api: BundleApi, bundle_id: str, path: Path) -> None:
    """Spoil both places that have the bytes."""
    engine = open_database(database_url(api.services.config), api.data_dir)
    with transaction(engine) as connection:
        connection.execute(update(bundles).where(bundles.c.id == bundle_id).values(bytes=b"spoilt"))
    engine.dispose()
    path.write_bytes(b"spoilt too")


@pytest.mark.parametrize("query", ["", "activate=false"])
def test_files_kept_under_a_revoked_key_are_not_taken_for_what_is_signed_anew(
    api: BundleApi, query: str
) -> None:
    stolen, files = SigningKey.generate("es256"), small_files(api.next_version())
    again = packed(api.key, files)
    with trusted(api, stolen):
        kept = api.uploaded(packed(stolen, files), query)
        assert api.uploaded(again, query)["id"] == kept["id"]
    with trusted(api, stolen, NOTES["revoked"]), nothing_changes(api):
        for ask in ("", "dry_run=true"):
            (found,) = problem(api.upload(again, ask), 409, "conflict")["findings"]
            assert kept["id"] in found["message"]
            assert found["remedy"] == "give them a higher version and sign them anew"
    assert api.uploaded()["version"] > kept["version"]


def test_damaged_bytes_are_neither_put_in_force_nor_answered(api: BundleApi) -> None:
    former = api.uploaded()
    path = api.data_dir / api.active()["bundle_path"]
    api.uploaded()
    damage(api, former["id"], path)
    with nothing_changes(api):
        for answer in (
            api.rollback(former["id"]),
            api.http.simulate_get(f"{ROOT}/{former['id']}"),
            api.http.simulate_get(f"{ROOT}/{former['id']}/download"),
            api.http.simulate_get(f"{ROOT}/{former['id']}/diff/{former['id']}"),
        ):
            assert "is corrupt" in problem(answer, 422, "bundle-refused")["detail"]
    assert api.http.simulate_delete(f"{ROOT}/{former['id']}").status_code == 200


def test_a_copy_that_is_damaged_on_this_node_is_mended_by_the_database(api: BundleApi) -> None:
    former = api.uploaded(data := api.bundle())
    path = api.data_dir / api.active()["bundle_path"]
    api.uploaded()
    path.write_bytes(b"spoilt")
    assert api.http.simulate_get(f"{ROOT}/{former['id']}/download").content == data
    assert path.read_bytes() == data


@contextmanager
def unfit_worker(api: BundleApi) -> Iterator[None]:
    """A worker of another node that can run nothing that is proposed."""
    engine = open_database(database_url(api.services.config), api.data_dir)
    fleet, done = Fleet(engine), threading.Event()

    def run() -> None:
        while not done.wait(0.03):
            with suppress(DatabaseUnavailableError):
                pulse = fleet.look()
                failed = pulse.proposal.id if pulse.proposal else 0
                fleet.report(
                    WorkerReport(
                        "unfit",
                        "node-unfit",
                        4711,
                        generation=pulse.generation,
                        failed=failed,
                        error="no memory is left" if failed else "",
                    )
                )

    thread = threading.Thread(target=run)
    thread.start()
    yield
    done.set()
    thread.join()
    fleet.leave("unfit")
    engine.dispose()


def test_a_worker_that_cannot_run_a_bundle_keeps_it_out_of_force(api: BundleApi) -> None:
    former, active = api.uploaded(), api.uploaded()
    data = api.bundle()
    with unfit_worker(api):
        for answer in (api.upload(data), api.rollback(former["id"])):
            refusal = problem(answer, 503, "not-activated")
            assert "worker 4711 of node node-unfit" in refusal["detail"]
            assert "no memory is left" in refusal["detail"]
            assert last_event(api)["kind"] == "bundle.refused"
            assert "no memory is left" in last_event(api)["reason"]
            assert api.active()["id"] == active["id"]
    # The bytes may be sent again when the worker is mended.
    assert api.uploaded(data)["converged"] is True


def test_uploads_in_line_keep_neither_threads_nor_rollbacks(tmp_path: Path) -> None:
    with bundle_api(tmp_path, None, threads=4) as api:
        former, _ = api.uploaded(), api.uploaded()
        data, answers = api.bundle(), list[Any]()

        def upload() -> None:
            while (answer := api.upload(data)).status_code == 503:
                time.sleep(0.01)
            answers.append(answer.json)

        waiting = threading.Thread(target=upload)
        with Lanes(api.data_dir).uploads():
            waiting.start()
            deadline = time.monotonic() + 10
            while (answer := api.upload(b"")).status_code != 503:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            problem(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) > 0
            assert api.rollback(former["id"]).status_code == 200
            assert not answers
        waiting.join()
        assert api.active()["id"] == answers[0]["id"]


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


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("descripton=x", "descripton"),
        ("activate=yes", "activate"),
        ("activate=True", "activate"),
        ("activate=", "activate"),
        ("dry_run=1", "dry_run"),
        ("dry_run=true&dry_run=false", "dry_run"),
        ("acknowledge_floor=no", "acknowledge_floor"),
        (f"description={'x' * 501}", "description"),
        ("description=a%0Ab", "description"),
        ("description=a%00b", "description"),
        ("description=%E2%80%AEevil", "description"),
        ("description=a&description=b", "description"),
    ],
)
def test_an_unfit_query_of_an_upload_names_the_parameter(
    api: BundleApi, query: str, field: str
) -> None:
    with nothing_changes(api):
        assert problem(api.upload(b"junk", query), 400, "invalid-request")["field"] == field


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("", "page=2", "page"),
        ("/events", "limit=0", "limit"),
        ("/events", "limit=1001", "limit"),
        ("/events", "limit=ten", "limit"),
        ("/events", "limit=1&limit=2", "limit"),
        ("/events", "before=-1", "before"),
        ("/events", "before=99999999999999999999", "before"),
        ("/events", "before=%D9%A1", "before"),
        ("/events", "after=1", "after"),
        (f"/{NOBODY}", "verbose=true", "verbose"),
        (f"/{NOBODY}/download", "raw=1", "raw"),
    ],
)
def test_an_unfit_query_names_the_parameter(
    api: BundleApi, path: str, query: str, field: str
) -> None:
    answer = api.http.simulate_get(f"{ROOT}{path}", query_string=query)
    assert problem(answer, 400, "invalid-request")["field"] == field


@pytest.mark.parametrize(
    ("query", "body", "field"),
    [
        ("why=x", b"", "why"),
        (f"reason={'x' * 501}", b"", "reason"),
        ("reason=a%0Ab", b"", "reason"),
        ("", b'{"reason": "a\\nb"}', "reason"),
        ("", b'{"reason": 7}', "reason"),
        ("", b'{"why": "x"}', "why"),
        ("", b"[]", ""),
        ("", b"{", ""),
        ("reason=a", b'{"reason": "b"}', "reason"),
    ],
)
def test_an_unfit_reason_of_a_rollback_is_named(
    api: BundleApi, query: str, body: bytes, field: str
) -> None:
    with nothing_changes(api):
        answer = api.rollback(NOBODY, query_string=query, body=body)
        assert problem(answer, 400, "invalid-request").get("field", "") == field


@pytest.mark.parametrize("bundle_id", [NOBODY, "latest", "%00", "1", "..%2Froles"])
def test_a_version_that_is_not_there_is_404(api: BundleApi, bundle_id: str) -> None:
    active, path = api.active()["id"], f"{ROOT}/{bundle_id}"
    for answer in (
        api.http.simulate_get(path),
        api.http.simulate_get(f"{path}/download"),
        api.http.simulate_get(f"{path}/diff/{active}"),
        api.http.simulate_get(f"{ROOT}/{active}/diff/{bundle_id}"),
        api.http.simulate_post(f"{path}/activate"),
        api.http.simulate_delete(path),
        api.rollback(bundle_id),
    ):
        problem(answer, 404, "not-found")


def test_without_a_key_nothing_is_read_or_changed(api: BundleApi) -> None:
    http = api.client("")
    with nothing_changes(api):
        for answer in (
            http.simulate_get(ROOT),
            http.simulate_post(f"{ROOT}/upload", body=api.bundle()),
            http.simulate_post(f"{ROOT}/rollback/{NOBODY}"),
        ):
            problem(answer, 401, "unauthenticated")
