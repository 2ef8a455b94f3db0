"""POST /v1/provision on a real store: what is asked, and what is answered."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import falcon
import falcon.testing
import pytest
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.api import problems
from scopebound_engine.api.audit_trail import Trail
from scopebound_engine.api.provision import Provision
from scopebound_engine.api.recording import Recording
from scopebound_engine.config import Config
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.decision.pdp import DecisionPoint
from scopebound_engine.log.recorder import Recorder
from scopebound_engine.meter import Meter
from scopebound_engine.session.state.sqlite import SqliteState
from scopebound_engine.tally import Tally
from tests.provisioning import PLENTY, make_provisioner
from tests.recording import make_recorder
from tests.roles import ROLE_ID, store_role
from tests.signing import tokens

LEAP_DAY_EVE = 1_835_395_199.9  # 2028-02-28T23:59:59.9Z
PATH = "/v1/provision"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(None, tmp_path)
    migrate(engine)
    store_role(engine, default_ttl_seconds=3600)
    yield engine
    engine.dispose()


class Context:
    """Gives requests what `create_app` gives them."""

    def __init__(self, doorkeeper: Doorkeeper, recorder: Recorder, folder: Path) -> None:
        self._doorkeeper = doorkeeper
        self._recording = Recording(
            recorder, cast(DecisionPoint, None), Meter(Tally(folder / "metrics")), seconds=1.0
        )
        self._trail = Trail(recorder)

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        req.context = SimpleNamespace(
            request_id="r-1",
            arrived=time.monotonic(),
            doorkeeper=self._doorkeeper,
            recording=self._recording,
            trail=self._trail,
        )


@pytest.fixture
def per_minute() -> int:
    """How many sessions a key makes of a role."""
    return PLENTY


@pytest.fixture
def http(engine: Engine, tmp_path: Path, per_minute: int) -> Iterator[Any]:
    keys = ApiKeyStore(engine, lambda: LEAP_DAY_EVE)
    provisioner = make_provisioner(
        engine, SqliteState(tmp_path), lambda: LEAP_DAY_EVE, per_minute=per_minute
    )
    doorkeeper = Doorkeeper(keys, lambda: LEAP_DAY_EVE)
    app = falcon.App(middleware=[Context(doorkeeper, make_recorder(tmp_path), tmp_path)])
    problems.install(app)
    app.add_route(PATH, Provision(provisioner, Config()))
    _, secret = keys.create("agent", frozenset({"enforce"}))
    yield falcon.testing.TestClient(app, headers={"X-Scopebound-API-Key": secret})
    doorkeeper.close()


def ask(http: Any, **body: Any) -> Any:
    return http.simulate_post(PATH, json=body)


def test_a_session_is_answered_in_exactly_three_fields(http: Any) -> None:
    answer = ask(http, role_id="a-role")
    assert answer.status_code == 200
    assert answer.json.keys() == {"jwt", "session_id", "expires_at"}
    claims = tokens(lambda: LEAP_DAY_EVE).verify(answer.json["jwt"])
    assert claims["jti"] == answer.json["session_id"]
    assert claims["role_id"] == ROLE_ID


@pytest.mark.parametrize(
    ("wish", "expires_at"),
    [
        ({}, "2028-02-29T00:59:59Z"),
        ({"requested_ttl": 0}, "2028-02-29T00:59:59Z"),
        ({"requested_ttl": None}, "2028-02-29T00:59:59Z"),
        ({"requested_ttl": 86_400}, "2028-02-29T00:59:59Z"),
        ({"requested_ttl": 61}, "2028-02-29T00:01:00Z"),
        ({"requested_ttl": 61.0}, "2028-02-29T00:01:00Z"),
        ({"requested_ttl": 60}, "2028-02-29T00:00:59Z"),
        ({"requested_ttl": 1}, "2028-02-29T00:00:59Z"),
    ],
)
def test_the_end_is_told_in_utc_to_the_second(
    http: Any, wish: dict[str, Any], expires_at: str
) -> None:
    answer = ask(http, role_id=ROLE_ID, **wish).json
    assert answer["expires_at"] == expires_at
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["expires_at"])


@pytest.mark.parametrize("role_id", ["a-role", ROLE_ID, ROLE_ID.upper()])
def test_a_role_is_named_by_name_or_uuid(http: Any, role_id: str) -> None:
    assert ask(http, role_id=role_id).status_code == 200


@pytest.mark.parametrize("role_id", ["A-role", "nobody", ROLE_ID[:-1] + "0", " a-role"])
def test_a_role_that_is_not_there_is_told(http: Any, role_id: str) -> None:
    assert ask(http, role_id=role_id).status_code == 404


def test_what_else_the_client_sends_is_ignored(http: Any) -> None:
    wish = {"role_id": "a-role", "task_type": "", "framework": "python", "requested_ttl": 0}
    for parent in ({}, {"parent_session_id": ""}, {"parent_session_id": None}):
        assert ask(http, **wish, **parent).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "role_id"),
        ({"role_id": ""}, "role_id"),
        ({"role_id": None}, "role_id"),
        ({"role_id": 7}, "role_id"),
        ({"role_id": ["a-role"]}, "role_id"),
        ({"role_id": "a-role", "requested_ttl": -1}, "requested_ttl"),
        ({"role_id": "a-role", "requested_ttl": True}, "requested_ttl"),
        ({"role_id": "a-role", "requested_ttl": "60"}, "requested_ttl"),
        ({"role_id": "a-role", "requested_ttl": 60.5}, "requested_ttl"),
        ({"role_id": "a-role", "requested_ttl": [60]}, "requested_ttl"),
        ({"role_id": "a-role", "parent_session_id": 7}, "parent_session_id"),
        ({"role_id": "a-role", "parent_session_id": {}}, "parent_session_id"),
        ({"role_id": "a-role", "parent_session_id": [""]}, "parent_session_id"),
        ({"role_id": "a-role", "parent_session_id": False}, "parent_session_id"),
        ([], None),
        ("a-role", None),
        (None, None),
    ],
)
def test_a_mistake_is_a_problem_that_names_its_field(
    http: Any, body: Any, field: str | None
) -> None:
    answer = http.simulate_post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json.get("field") == field


@pytest.mark.parametrize("per_minute", [2])
def test_a_key_that_makes_too_many_sessions_of_a_role_is_told_when_to_come_again(
    http: Any, engine: Engine
) -> None:
    assert [ask(http, role_id="a-role").status_code for _ in range(2)] == [200, 200]
    refused = ask(http, role_id=ROLE_ID)
    assert refused.status_code == 429
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json["type"] == "urn:scopebound:problem:too-often"
    assert 29 <= int(refused.headers["Retry-After"]) <= 30
    assert "'a-role'" in refused.json["detail"]
    _, other = ApiKeyStore(engine, lambda: LEAP_DAY_EVE).create("other", frozenset({"enforce"}))
    headers = {"X-Scopebound-API-Key": other}
    answer = http.simulate_post(PATH, json={"role_id": "a-role"}, headers=headers)
    assert answer.status_code == 200


def test_where_no_policy_can_be_asked_there_is_no_delegation(http: Any) -> None:
    parent = ask(http, role_id="a-role").json["session_id"]
    for parent_id in (parent, "no such session"):
        answer = ask(http, role_id="a-role", parent_session_id=parent_id)
        assert answer.status_code == 503
        assert answer.json["type"] == "urn:scopebound:problem:undecided"
        assert "no policy bundle is active" in answer.json["detail"]
