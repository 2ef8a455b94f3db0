"""GET /mgmt/v1/roles/{id}/baseline over real stores."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import falcon
import falcon.testing
import pytest
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.api import problems
from scopebound_engine.api.audit_trail import Trail
from scopebound_engine.api.baselines import BaselineItem
from scopebound_engine.api.examples import baselines as examples
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.drift.words import notices, waiting
from tests.description import assert_valid, schema_of
from tests.ended import store_ended
from tests.recording import make_recorder
from tests.roles import ROLE_ID, store_role

PATH = f"/mgmt/v1/roles/{ROLE_ID}/baseline"
TOOLS = ("read", "mail")


class Service:
    """The route in an app of its own, and a role."""

    def __init__(self, database: Engine, folder: Path) -> None:
        self.database, self.trail = database, Trail(make_recorder(folder))
        self.keys = ApiKeyStore(database, time.time)
        self.baselines = Baselines(database, time.time)
        self.doorkeeper = Doorkeeper(self.keys, time.time)
        app: Any = falcon.App(middleware=[self])
        problems.install(app)
        item = BaselineItem(RoleStore(database, time.time), self.baselines)
        app.add_route("/mgmt/v1/roles/{role_id}/baseline", item)
        self.http = falcon.testing.TestClient(app)
        store_role(database, allowed_tools=list(TOOLS))

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        req.context = SimpleNamespace(
            request_id="r-1", doorkeeper=self.doorkeeper, trail=self.trail
        )

    def get(self, path: str = PATH, scope: str = "roles", query: str = "") -> Any:
        _, secret = self.keys.create(f"key-{time.monotonic_ns()}", frozenset({scope}))
        headers = {"X-Scopebound-API-Key": secret}
        return self.http.simulate_get(path, headers=headers, query_string=query)


@pytest.fixture
def service(database: Engine, tmp_path: Path) -> Iterator[Service]:
    made = Service(database, tmp_path)
    yield made
    made.doorkeeper.close()


def test_a_role_without_enough_sessions_is_not_ready(service: Service) -> None:
    store_ended(service.database, ROLE_ID, [{"read": 5}] * 7)
    answer = service.get()
    assert answer.status_code == 200
    assert answer.json == examples.WAITING | {"role_id": ROLE_ID}
    assert service.baselines.fit(ROLE_ID, TOOLS) is None
    assert service.get().json["ready"] is False


def test_a_fitted_baseline_is_answered_with_what_it_would_notice(service: Service) -> None:
    store_ended(service.database, ROLE_ID, [{"read": 30, "mail": 1}] * 25)
    stored = service.baselines.fit(ROLE_ID, TOOLS)
    assert stored is not None
    answer = service.get(scope="audit")
    assert answer.status_code == 200
    assert_valid(schema_of("BaselineAnswer"), answer.json)
    assert (answer.json["ready"], answer.json["sessions"], answer.json["needed"]) == (True, 25, 20)
    shown, baseline = answer.json["baseline"], stored.baseline
    assert (shown["id"], shown["sessions"], shown["calls"]) == (stored.id, 25, 775)
    assert shown["concentration"] == pytest.approx(baseline.concentration)
    assert shown["frequencies"] == pytest.approx(
        {"read": baseline.frequencies[0], "mail": baseline.frequencies[1]}
    )
    assert shown["others"] == pytest.approx(baseline.frequencies[2])
    assert answer.json["notices"] == notices(baseline)


@pytest.mark.parametrize(
    ("path", "scope", "query", "status"),
    [
        (PATH, "enforce", "", 403),
        (PATH, "bundles", "", 403),
        (PATH, "roles", "tool=read", 400),
        (PATH.replace("3bce", "4bce"), "roles", "", 404),
        ("/mgmt/v1/roles/a-role/baseline", "roles", "", 404),
        ("/mgmt/v1/roles/%00/baseline", "roles", "", 404),
    ],
)
def test_who_may_not_or_asks_for_what_is_not_there_is_refused(
    service: Service, path: str, scope: str, query: str, status: int
) -> None:
    answer = service.get(path, scope, query)
    assert answer.status_code == status
    assert answer.json["detail"]


def test_without_a_key_nobody_reads(service: Service) -> None:
    assert service.http.simulate_get(PATH).status_code == 401


def test_the_examples_say_what_the_engine_says() -> None:
    shown: Any = examples.READY["baseline"]
    baseline = Baseline(
        tools=tuple(shown["frequencies"]),
        frequencies=(*shown["frequencies"].values(), shown["others"]),
        concentration=shown["concentration"],
        sessions=shown["sessions"],
        calls=shown["calls"],
    )
    assert examples.READY["notices"] == notices(baseline)
    assert examples.WAITING["notices"] == [waiting(7)]
