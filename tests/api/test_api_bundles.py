"""/mgmt/v1/bundles as it is meant to go, on both databases."""

import gzip
import hashlib
import json
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from bundle_api import NOBODY, ROOT, BundleApi, problem

from scopebound_engine.bundle.format import archive
from tests.bundles import MARKED
from tests.description import assert_valid, schema_of

REFERENCE = {
    *("id", "version", "checksum", "bundle_path", "is_active"),
    *("uploaded_at", "activated_at", "description"),
}
BEYOND = {"name", "identity", "key_id", "uploaded_by", "generation"}


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What these calls answer, made by a thread each, all together."""
    start, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        start.wait()
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_an_upload_is_in_force_on_every_worker_when_it_is_answered(api: BundleApi) -> None:
    data, before = api.bundle(), api.active()["generation"]
    answer = api.upload(data, "description=add+new+rule")
    assert answer.status_code == 200, answer.text
    uploaded = answer.json
    assert_valid(schema_of("ActivatedBundle"), uploaded)
    assert uploaded["checksum"] == hashlib.sha256(data).hexdigest()
    assert (uploaded["is_active"], uploaded["unchanged"]) == (True, False)
    assert uploaded["description"] == "add new rule"
    (warning,) = uploaded["warnings"]
    assert "no typical call is allowed" in warning["message"]
    assert uploaded["generation"] > before
    assert uploaded["converged"] is True
    assert uploaded["workers"] == {"expected": 1, "running": 1, "laggards": []}
    loaded = api.services.active.current
    assert loaded is not None
    assert (loaded.ref.id, loaded.ref.generation) == (uploaded["id"], uploaded["generation"])


def test_what_is_in_force_decides(api: BundleApi) -> None:
    role = {"name": f"decides-{api.next_version()}", "allowed_tools": [MARKED]}
    assert api.http.simulate_post("/mgmt/v1/roles", json=role).status_code == 201
    session = api.http.simulate_post("/v1/provision", json={"role_id": role["name"]}).json
    call = {"jwt": session["jwt"], "tool_name": MARKED, "call_args": {}}
    for denies in (True, False):
        uploaded = api.uploaded(api.shipped(denies=denies))
        decision = api.http.simulate_post("/v1/enforce", json=call).json
        assert decision["decision"] == ("deny" if denies else "allow")
        named = {name: decision[f"bundle_{name}"] for name in ("id", "checksum", "generation")}
        assert named == {name: uploaded[name] for name in named}


def test_the_list_has_the_reference_s_fields_newest_first(api: BundleApi) -> None:
    uploaded = [api.uploaded(query=f"description={text}") for text in ("first", "second")]
    listed = api.get()
    assert_valid(schema_of("BundleList"), listed)
    assert listed["count"] == len(listed["versions"])
    assert all(set(version) == REFERENCE | BEYOND for version in listed["versions"])
    newest, older = listed["versions"][:2]
    assert [newest["id"], older["id"]] == [answer["id"] for answer in reversed(uploaded)]
    assert (newest["description"], older["description"]) == ("second", "first")
    assert (newest["is_active"], older["is_active"]) == (True, False)
    assert (newest["generation"], older["generation"]) == (uploaded[1]["generation"], None)
    assert older["activated_at"] is not None
    assert newest["bundle_path"].startswith("bundle-history/bundle-")
    assert (api.data_dir / newest["bundle_path"]).is_file()
    assert newest["key_id"] == api.key.key_id
    assert newest["uploaded_by"]


def test_the_same_again_changes_nothing(api: BundleApi) -> None:
    data = api.bundle()
    first = api.uploaded(data, "description=first")
    again = api.uploaded(data, "description=again")
    assert again == {**first, "unchanged": True}
    repacked = gzip.compress(gzip.decompress(data), compresslevel=1, mtime=0)
    assert repacked != data
    assert api.uploaded(repacked) == {**first, "unchanged": True}
    assert api.uploaded(data, "activate=false") == {**first, "unchanged": True}


def test_a_rollback_is_answered_as_in_the_reference_and_undoes(api: BundleApi) -> None:
    old, new = api.uploaded(), api.uploaded()
    answer = api.rollback(old["id"].upper(), query_string="reason=too+strict")
    assert answer.status_code == 200, answer.text
    back = answer.json
    assert_valid(schema_of("RolledBack"), back)
    assert back["message"] == "rollback successful"
    assert [back["version_id"], back["version"], back["checksum"]] == [
        *(old[name] for name in ("id", "version", "checksum")),
    ]
    assert back["generation"] > new["generation"]
    assert (back["unchanged"], back["converged"]) == (False, True)
    assert back["workers"] == {"expected": 1, "running": 1, "laggards": []}
    assert api.active()["id"] == old["id"]
    event = api.events()[0]
    assert (event["kind"], event["reason"]) == ("bundle.rolled_back", "too strict")
    assert (event["bundle_id"], event["from_bundle_id"]) == (old["id"], new["id"])
    assert (event["generation"], event["from_generation"]) == (
        back["generation"],
        new["generation"],
    )


def test_a_rollback_to_what_is_in_force_changes_nothing(api: BundleApi) -> None:
    uploaded = api.uploaded()
    before = api.events()
    back = api.rollback(uploaded["id"]).json
    assert (back["unchanged"], back["generation"]) == (True, uploaded["generation"])
    assert back["converged"] is True
    assert api.events() == before


def test_the_reason_may_stand_in_the_body(api: BundleApi) -> None:
    old = api.uploaded()
    api.uploaded()
    assert api.rollback(old["id"], json={"reason": "zu streng — zurück"}).status_code == 200
    assert api.events()[0]["reason"] == "zu streng — zurück"


def test_there_and_back_again(api: BundleApi) -> None:
    one, two = api.uploaded(), api.uploaded()
    for each in (one, two, one):
        assert api.rollback(each["id"]).status_code == 200
        assert api.active()["id"] == each["id"]


def test_what_is_only_stored_waits_for_its_activation(api: BundleApi) -> None:
    before = api.active()
    stored = api.uploaded(query="activate=false&description=later")
    assert_valid(schema_of("StoredBundle"), stored)
    assert (stored["is_active"], stored["generation"]) == (False, None)
    assert api.active() == before
    activated = api.http.simulate_post(f"{ROOT}/{stored['id']}/activate")
    assert activated.status_code == 200, activated.text
    assert_valid(schema_of("ActivatedBundle"), activated.json)
    assert activated.json["id"] == api.active()["id"] == stored["id"]
    assert activated.json["converged"] is True
    again = api.http.simulate_post(f"{ROOT}/{stored['id']}/activate").json
    assert again == {**activated.json, "unchanged": True}


def test_the_bytes_of_a_stored_version_sent_again_put_it_in_force(api: BundleApi) -> None:
    data = api.bundle()
    stored = api.uploaded(data, "activate=false")
    assert api.uploaded(data, "activate=false")["id"] == stored["id"]
    uploaded = api.uploaded(data)
    assert (uploaded["id"], uploaded["is_active"]) == (stored["id"], True)


def test_a_dry_run_makes_every_check_and_leaves_no_trace(api: BundleApi) -> None:
    active = api.uploaded(data := api.bundle())
    before, events = api.state(), api.events()
    new = api.bundle(version := api.next_version())
    for query, outcome in (("", "activate"), ("&activate=false", "store")):
        tried = api.upload(new, f"dry_run=true{query}").json
        assert_valid(schema_of("TriedBundle"), tried)
        assert (tried["dry_run"], tried["outcome"]) == (True, outcome)
        assert (tried["version"], tried["key_id"]) == (version, api.key.key_id)
        assert tried["checksum"] == hashlib.sha256(new).hexdigest()
    same = api.upload(data, "dry_run=true").json
    assert (same["outcome"], same["checksum"]) == ("unchanged", active["checksum"])
    problem(api.upload(b"junk", "dry_run=true"), 422, "bundle-refused")
    problem(api.upload(api.bundle("0.9.0"), "dry_run=true"), 409, "conflict")
    assert (api.state(), api.events()) == (before, events)


def test_a_version_says_what_it_holds_and_what_happened_to_it(api: BundleApi) -> None:
    data = api.bundle()
    uploaded = api.uploaded(data, "description=look")
    details = api.get(f"/{uploaded['id'].upper()}")
    assert_valid(schema_of("BundleDetails"), details)
    files = archive.read(data)
    assert details["manifest"] == json.loads(files["manifest.json"])
    assert details["files"] == [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    assert details["warnings"] == uploaded["warnings"] != []
    kinds = [event["kind"] for event in details["events"]]
    assert kinds == ["bundle.activated", "bundle.uploaded"]
    assert {name: details[name] for name in REFERENCE | BEYOND} == api.active()


def test_a_download_is_what_was_uploaded_byte_for_byte(api: BundleApi) -> None:
    data = api.bundle()
    uploaded = api.uploaded(data)
    path = f"{ROOT}/{uploaded['id']}/download"
    answer = api.http.simulate_get(path)
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "application/gzip"
    name = api.active()["bundle_path"].rpartition("/")[2]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    tag = f'"{uploaded["checksum"]}"'
    assert answer.headers["etag"] == tag
    known = api.http.simulate_get(path, headers={"If-None-Match": tag})
    assert (known.status_code, known.content) == (304, b"")


def test_a_diff_tells_the_rule_that_came(api: BundleApi) -> None:
    old, new = (api.uploaded(api.shipped(denies=denies)) for denies in (False, True))
    diff = api.get(f"/{old['id']}/diff/{new['id']}")
    assert_valid(schema_of("BundleDiff"), diff)
    assert (diff["old"]["id"], diff["new"]["id"]) == (old["id"], new["id"])
    (rule,) = diff["rules"]
    assert (rule["change"], rule["name"]) == ("changed", "violation")
    assert rule["places"] == [{"file": "scopebound/deny/marked_call.rego", "line": 8}]
    assert diff["same"] is False
    assert api.get(f"/{old['id']}/diff/{old['id']}")["same"] is True


def test_what_is_removed_is_gone(api: BundleApi) -> None:
    stored = api.uploaded(query="activate=false")
    path = f"{ROOT}/{stored['id']}"
    answer = api.http.simulate_delete(path)
    assert answer.status_code == 200
    assert answer.json == {"deleted": True, "id": stored["id"], "version": stored["version"]}
    assert api.events()[0]["kind"] == "bundle.deleted"
    for gone in (
        api.http.simulate_get(path),
        api.http.simulate_get(f"{path}/download"),
        api.http.simulate_post(f"{path}/activate"),
        api.http.simulate_delete(path),
        api.rollback(stored["id"]),
    ):
        problem(gone, 404, "not-found")


def test_the_way_back_is_removed_by_those_who_may_roll_back(api: BundleApi) -> None:
    former, _ = api.uploaded(), api.uploaded()
    path = f"{ROOT}/{former['id']}"
    refused = problem(api.with_scopes("bundles").simulate_delete(path), 403, "forbidden")
    assert "is the way back" in refused["detail"]
    assert api.get(f"/{former['id']}")["generation"] is None
    assert api.with_scopes("bundles", "rollback").simulate_delete(path).status_code == 200


def test_events_are_read_page_by_page(api: BundleApi) -> None:
    api.uploaded()
    everything = api.get("/events?limit=1000")
    assert_valid(schema_of("BundleEventList"), everything)
    ids = [event["id"] for event in everything["events"]]
    assert ids == sorted(ids, reverse=True)
    first = api.get("/events?limit=2")
    assert (first["count"], first["events"]) == (2, everything["events"][:2])
    rest = api.get(f"/events?limit=1000&before={ids[1]}")
    assert rest["events"] == everything["events"][2:]


def test_an_event_names_the_api_key_that_acted(api: BundleApi) -> None:
    http = api.with_scopes("bundles")
    uploaded = http.simulate_post(f"{ROOT}/upload", body=api.bundle()).json
    events = api.get(f"/{uploaded['id']}")["events"]
    keys = {key.id: key.name for key in api.services.api_keys.list()}
    assert {keys[event["api_key_id"]] for event in events} == {events[0]["actor"]}
    assert events[0]["actor"].startswith("bundles-")
    assert {event["key_id"] for event in events} == {api.key.key_id}


@pytest.mark.parametrize("scope", ["bundles", "rollback", "audit"])
def test_each_of_three_scopes_reads(api: BundleApi, scope: str) -> None:
    active, http = api.active()["id"], api.with_scopes(scope)
    for path in ("", "/events", f"/{active}", f"/{active}/download", f"/{active}/diff/{active}"):
        assert http.simulate_get(f"{ROOT}{path}").status_code == 200


def test_each_change_needs_its_scope(api: BundleApi) -> None:
    before = api.state()
    others = api.with_scopes("rollback", "audit", "roles", "enforce")
    for answer in (
        others.simulate_post(f"{ROOT}/upload", body=api.bundle()),
        others.simulate_post(f"{ROOT}/{NOBODY}/activate"),
        others.simulate_delete(f"{ROOT}/{NOBODY}"),
    ):
        assert "lacks the scope bundles" in problem(answer, 403, "forbidden")["detail"]
    uploader = api.with_scopes("bundles", "audit", "roles", "enforce")
    answer = uploader.simulate_post(f"{ROOT}/rollback/{NOBODY}")
    assert "lacks the scope rollback" in problem(answer, 403, "forbidden")["detail"]
    stranger = api.with_scopes("roles", "enforce")
    for path in ("", "/events", f"/{NOBODY}", f"/{NOBODY}/download", f"/{NOBODY}/diff/{NOBODY}"):
        problem(stranger.simulate_get(f"{ROOT}{path}"), 403, "forbidden")
    assert api.state() == before


def test_uploads_at_once_have_one_order_and_the_last_is_in_force(api: BundleApi) -> None:
    version = api.next_version()
    bundles = [
        api.bundle(version, **{"scopebound/note/data.json": b'{"note": %d}' % number})
        for number in range(5)
    ]
    answers = at_once([lambda data=data: api.uploaded(data) for data in bundles])
    generations = [answer["generation"] for answer in answers]
    assert len(set(generations)) == len(bundles)
    last = max(answers, key=lambda answer: int(answer["generation"]))
    assert api.active()["id"] == last["id"]
    assert all(answer["converged"] for answer in answers)
    activated = [event for event in api.events() if event["kind"] == "bundle.activated"]
    assert [event["generation"] for event in activated[: len(bundles)]] == sorted(
        generations, reverse=True
    )
    assert api.get()["count"] <= 10


def test_the_same_bundle_at_once_is_one_version(api: BundleApi) -> None:
    data = api.bundle()
    answers = at_once([lambda: api.uploaded(data)] * 5)
    assert len({answer["id"] for answer in answers}) == 1
    assert len({answer["generation"] for answer in answers}) == 1
    assert sorted(answer["unchanged"] for answer in answers) == [False, True, True, True, True]


def test_rollbacks_at_once_have_one_order(api: BundleApi) -> None:
    one, two, three = api.uploaded(), api.uploaded(), api.uploaded()
    answers = at_once(
        [lambda each=each: api.rollback(each["id"]).json for each in (one, two, one, two)]
    )
    changed = [answer for answer in answers if not answer["unchanged"]]
    last = max(changed, key=lambda answer: int(answer["generation"]))
    assert api.active()["id"] == last["version_id"] != three["id"]
    assert len({answer["generation"] for answer in changed}) == len(changed)


def test_long_reads_leave_threads_for_those_who_ask_for_decisions(api: BundleApi) -> None:
    version = api.uploaded(query="activate=false")
    item = api.get(f"/{version['id']}")
    copy = api.data_dir / item["bundle_path"]
    copy.unlink(missing_ok=True)
    os.mkfifo(copy)  # whoever reads it waits for a writer
    answers = queue.Queue[Any]()

    def ask() -> None:
        answers.put(api.http.simulate_get(f"{ROOT}/{version['id']}/diff/{version['id']}"))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    refused = answers.get(timeout=10)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    writer = os.open(copy, os.O_RDWR)
    copy.unlink()
    os.close(writer)
    for thread in threads:
        thread.join()
    assert [answers.get().status_code for _ in range(2)] == [200, 200]
