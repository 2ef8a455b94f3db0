"""Backtests on a server: what a version would have changed, and uploads that depend on it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bundle_api import NOBODY, ROOT

from scopebound_engine.author.backtesting.server import LOCK_FILE
from scopebound_engine.database.engine import open_database
from scopebound_engine.database.lockfile import alone
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.node import database_url
from tests.api.clocked import Result, Service, clocked_service
from tests.api.conftest import BOTH, new_database
from tests.bundles import MARKED, bundle_files, packed, server_key
from tests.description import assert_valid, schema_of
from tests.recording import Record, records_of

UPLOAD = f"{ROOT}/upload"
MARKED_CALLS, PLAIN_CALLS, DENIED_CALLS = 3, 4, 2


@dataclass
class Recorded:
    """A service whose bundle denied marked calls, and bundles for it."""

    service: Service
    _number: int = 1

    @property
    def data_dir(self) -> Path:
        return self.service.services.config.data_dir

    def bundle(self, *, denies: bool, **files: bytes) -> bytes:
        """The shipped rules, of the next version."""
        self._number += 1
        made = bundle_files(f"1.{self._number}.0", denies=denies) | files
        return packed(server_key(self.data_dir), made)

    def upload(self, data: bytes, **query: Any) -> Result:
        return self.service.http.simulate_post(UPLOAD, body=data, params=query)

    def stored(self, data: bytes) -> str:
        answer = self.upload(data, activate="false")
        assert answer.status_code == 200, answer.text
        return str(answer.json["id"])

    def backtest(self, bundle_id: str, **query: Any) -> Result:
        return self.service.http.simulate_post(f"{ROOT}/{bundle_id}/backtest", params=query)

    def events(self, event: str) -> list[Record]:
        return [one for one in records_of(self.data_dir) if one["event"] == event]


@pytest.fixture(scope="module", params=BOTH)
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorded]:
    with clocked_service(tmp_path_factory.mktemp("backtest"), new_database(request)) as service:
        role = service.role("read", MARKED)
        made = Recorded(service)
        assert made.upload(made.bundle(denies=True)).status_code == 200
        agent = service.session(role)
        for _ in range(MARKED_CALLS):
            assert agent.verdict(MARKED) == "MARKED_CALL"
        for number in range(PLAIN_CALLS):
            assert agent.verdict("read", {"number": number}) == "allow"
        for _ in range(DENIED_CALLS):
            assert agent.verdict("delete") == "SCOPE_VIOLATION"
        config = service.services.config
        engine = open_database(database_url(config), config.data_dir)
        shipper = Shipper(engine, config.data_dir / "log", records_of(config.data_dir)[0]["node"])
        while shipper.ship():
            pass
        engine.dispose()
        yield made


def test_a_backtest_says_what_a_version_would_have_changed(recorded: Recorded) -> None:
    found = recorded.backtest(recorded.stored(recorded.bundle(denies=False)), window_hours="1")
    assert found.status_code == 200, found.text
    report = found.json
    assert_valid(schema_of("BacktestReport"), report)
    assert report["kinds"] == {"deny_to_allow": MARKED_CALLS, "allow_to_deny": 0, "deny_code": 0}
    assert report["decided"] == MARKED_CALLS + PLAIN_CALLS + DENIED_CALLS
    assert report["undecidable"]["no decision"] > 0
    (group,) = report["groups"]
    assert (group["was"], group["tool"], group["count"]) == ("MARKED_CALL", MARKED, MARKED_CALLS)
    assert [one["was"][0]["reason"] for one in report["examples"]] == ["the tool is marked"] * 3
    told = recorded.events("bundle.backtested")[-1]["details"]
    assert (told["digest"], told["deny_to_allow"]) == (report["digest"], MARKED_CALLS)


def test_the_same_rules_flip_nothing(recorded: Recorded) -> None:
    report = recorded.backtest(recorded.stored(recorded.bundle(denies=True))).json
    assert (report["flips"], report["altered"], report["groups"]) == (0, 0, [])


def test_an_upload_is_refused_unless_its_flips_are_acknowledged(recorded: Recorded) -> None:
    data = recorded.bundle(denies=False)
    refused = recorded.upload(data, backtest="required")
    assert refused.status_code == 422, refused.text
    flip, digest = refused.json["findings"]
    assert flip["step"] == "backtest"
    assert "3 of marked by role-" in flip["message"]
    acknowledged = digest["remedy"].partition("acknowledge_backtest=")[2]
    wrong = recorded.upload(data, backtest="required", acknowledge_backtest="0" * 64)
    assert wrong.status_code == 422
    assert "that of another report" in wrong.json["findings"][-1]["message"]
    tried = recorded.upload(data, backtest="required", dry_run="true")
    assert tried.status_code == 422
    put = recorded.upload(data, backtest="required", acknowledge_backtest=acknowledged)
    assert put.status_code == 200, put.text
    assert any(acknowledged in one["message"] for one in put.json["warnings"])
    event = recorded.events("bundle.acknowledged")[-1]
    assert event["actor"]["name"].startswith("bootstrap")
    assert any(acknowledged in told for told in event["details"]["findings"])
    assert "would have been allowed" in recorded.events("bundle.refused")[-1]["details"]["reason"]
    # Nothing is flipped by what is in force already.
    assert recorded.upload(data, backtest="required").json["unchanged"] is True


def test_an_upload_that_flips_nothing_needs_no_acknowledgement(recorded: Recorded) -> None:
    answer = recorded.upload(recorded.bundle(denies=True), backtest="required")
    assert answer.status_code == 200, answer.text
    assert all(one["step"] not in {"backtest", "flips"} for one in answer.json["warnings"])


def test_one_at_a_time(recorded: Recorded) -> None:
    bundle_id = recorded.stored(recorded.bundle(denies=True))
    with alone(recorded.data_dir / LOCK_FILE, seconds=0):
        answer = recorded.backtest(bundle_id)
        upload = recorded.upload(recorded.bundle(denies=False), backtest="required")
    for busy in (answer, upload):
        assert busy.status_code == 503, busy.text
        assert busy.json["type"].endswith(":busy")
        assert int(busy.headers["Retry-After"]) > 0


def test_a_policy_that_does_not_compile_is_refused_with_its_findings(recorded: Recorded) -> None:
    broken = {"scopebound/deny/broken.rego": b"package scopebound.deny\n\nviolation contains {\n"}
    answer = recorded.upload(recorded.bundle(denies=False, **broken), backtest="required")
    assert answer.status_code == 422
    assert any(one["file"] == "scopebound/deny/broken.rego" for one in answer.json["findings"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"backtest": "yes"}, "backtest"),
        ({"acknowledge_backtest": "0" * 64}, "acknowledge_backtest"),
        ({"backtest": "required", "backtest_window_hours": "0"}, "backtest_window_hours"),
        ({"backtest": "required", "acknowledge_backtest": "0" * 65}, "acknowledge_backtest"),
    ],
)
def test_a_wish_that_is_none_is_400(recorded: Recorded, query: dict[str, str], field: str) -> None:
    answer = recorded.upload(b"", **query)
    assert answer.status_code == 400, answer.text
    assert answer.json["detail"].startswith(f"{field}: ")


def test_who_may_not_upload_may_not_ask(recorded: Recorded) -> None:
    assert recorded.backtest(NOBODY).status_code == 404
    assert recorded.backtest("nobody").status_code == 404
    _, secret = recorded.service.services.api_keys.create("auditor", frozenset({"audit"}), ())
    answer = recorded.service.http.simulate_post(
        f"{ROOT}/{NOBODY}/backtest", headers={"X-Scopebound-API-Key": secret}
    )
    assert answer.status_code == 403, json.dumps(answer.json)
