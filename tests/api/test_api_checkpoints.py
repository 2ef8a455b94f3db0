"""What auditors fetch to verify the log by, and what health says of the log."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.model import AUDIT, ENFORCE
from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.log import checkpoints, log_keys, segments
from scopebound_engine.log.checkpointing import Checkpointer, last_line
from scopebound_engine.log.notes import VerifierKey
from scopebound_engine.log.rounds import Rounds
from scopebound_engine.log.sources import sources
from scopebound_engine.log.verify import verify
from scopebound_engine.node import node_id
from scopebound_engine.wiring import Services, build_services
from tests.servers import make_prepared


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    make_prepared(tmp_path / "data")
    built = build_services(Config.model_validate({"data_dir": tmp_path / "data"}))
    yield built
    built.close()


def get(services: Services, path: str, *scopes: str) -> falcon.testing.Result:
    engine = open_database(None, services.config.data_dir)
    keys = ApiKeyStore(engine, time.time)
    _, secret = keys.create("-".join([path, *scopes]), frozenset(scopes))
    http = falcon.testing.TestClient(create_app(services))
    answer = http.simulate_get(path, headers={"X-Scopebound-API-Key": secret})
    engine.dispose()
    return answer


def health(services: Services) -> dict[str, Any]:
    answer: dict[str, Any] = (
        falcon.testing.TestClient(create_app(services)).simulate_get("/healthz").json
    )
    return answer


def sign(services: Services) -> None:
    """What the job does, at once."""
    data_dir, folder = services.config.data_dir, services.log_dir
    key = log_keys.read(data_dir, node_id(data_dir))
    Checkpointer(folder, key, lambda: last_line(folder)).run()


def verify_now(services: Services) -> None:
    keys = [one.key for one in services.log_keys()]
    Rounds(services.log_dir, node_id(services.config.data_dir), lambda: keys).run()


def test_the_newest_checkpoint_and_the_keys_are_all_an_auditor_needs(services: Services) -> None:
    for _ in range(5):
        services.recorder.event("log.started")
    sign(services)
    answer = get(services, "/mgmt/v1/audit/checkpoint", AUDIT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    published = get(services, "/mgmt/v1/audit/keys", AUDIT).json
    keys = [VerifierKey.parse(one["vkey"]) for one in published["keys"]]
    assert published["count"] == len(keys) == 1
    newest = checkpoints.opened(answer.content, keys)
    assert newest.size >= 5
    assert newest.node == published["keys"][0]["node_id"] == health(services)["node_id"]
    kept = services.config.data_dir / "kept"
    kept.write_bytes(answer.content)
    report = verify(sources([services.log_dir]), keys, [kept])
    assert report.flaws == []
    assert report.checked[0].proven >= newest.size


def test_a_new_node_has_the_checkpoint_of_an_empty_log(services: Services) -> None:
    answer = get(services, "/mgmt/v1/audit/checkpoint", AUDIT)
    assert answer.text.splitlines()[1] == "0"


@pytest.mark.parametrize("path", ["/mgmt/v1/audit/checkpoint", "/mgmt/v1/audit/keys"])
def test_they_are_for_auditors(services: Services, path: str) -> None:
    assert get(services, path, ENFORCE).status_code == 403


def test_health_says_when_the_chain_was_verified(services: Services) -> None:
    assert health(services)["last_chain_verified_at"] is None
    services.recorder.event("log.started")
    before = int(time.time())
    verify_now(services)
    found = health(services)
    assert (found["status"], found["problems"]) == ("ok", [])
    at = time.strptime(found["last_chain_verified_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert before <= time.mktime(at) - time.timezone <= time.time()


def test_a_broken_chain_degrades_the_node(services: Services) -> None:
    for _ in range(5):
        services.recorder.event("log.started")
    file = segments.path(services.log_dir, 1)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"log.started", b"log.stopped")
    file.write_bytes(b"".join(lines))
    verify_now(services)
    found = health(services)
    assert (found["status"], found["last_chain_verified_at"]) == ("degraded", None)
    assert any("record 3: the record was altered" in problem for problem in found["problems"])
