"""What keeps a sound bundle out of force: its key, its order, damage, a worker, a full gate."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bundle_api import (
    ROOT,
    BundleApi,
    bundle_api,
    last_event,
    nothing_changes,
    problem,
    small_files,
)
from sqlalchemy import update

from scopebound_engine.bundle.lanes import Lanes
from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.database.engine import open_database, transaction
from scopebound_engine.database.schema import bundles
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.node import database_url
from tests.bundles import packed

NOTES = {
    "revoked": 'revoked = 2026-01-01T00:00:00Z\nreason = "stolen"\n',
    "expired": "not_after = 2026-01-01T00:00:00Z\n",
    "early": "not_before = 2999-01-01T00:00:00Z\n",
}


@contextmanager
def trusted(api: BundleApi, key: SigningKey, notes: str = "") -> Iterator[None]:
    """While the block runs the key is trusted, as far as the notes beside it allow."""
    folder = api.services.config.trusted_keys_dir
    (folder / "other.pem").write_text(key.public_pem())
    (folder / "other.toml").write_text(notes)
    yield
    for name in ("other.pem", "other.toml"):
        (folder / name).unlink()


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
