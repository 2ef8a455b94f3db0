"""Two nodes on one PostgreSQL: each believes the other's sessions, and limits hold over both."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Databases, PostgresServer
from tests.servers import RunningServer, serving, two_nodes


@pytest.fixture(scope="module")
def nodes(
    postgres_databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, RunningServer]]:
    url = postgres_databases.url(postgres_databases.create())
    with two_nodes(tmp_path_factory.mktemp("nodes"), url, workers=1) as both:
        yield both


def call(server: RunningServer, token: str) -> dict[str, Any]:
    with server.client() as http:
        body = {"jwt": token, "tool_name": "read", "call_args": {}}
        return dict(http.post("/v1/enforce", json=body).json())


def provisioned(server: RunningServer, name: str, **fields: Any) -> str:
    with server.client() as http:
        role = {"name": name, "allowed_tools": ["read"], **fields}
        http.post("/mgmt/v1/roles", json=role).raise_for_status()
        return str(http.post("/v1/provision", json={"role_id": name}).json()["jwt"])


def test_a_session_of_one_node_is_believed_by_the_other(
    nodes: tuple[RunningServer, RunningServer],
) -> None:
    one, two = nodes
    assert call(two, provisioned(one, "from-one"))["decision"] == "allow"
    assert call(one, provisioned(two, "from-two"))["decision"] == "allow"


def test_both_nodes_decide_by_the_same_bundle(nodes: tuple[RunningServer, RunningServer]) -> None:
    token = provisioned(nodes[0], "same-bundle")
    assert len({call(node, token)["bundle_checksum"] for node in nodes}) == 1


def test_a_limit_holds_over_both_nodes(nodes: tuple[RunningServer, RunningServer]) -> None:
    token = provisioned(nodes[0], "limited", rate_limit_per_hour=20)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: call(nodes[i % 2], token), range(60)))
    allowed = [answer for answer in answers if answer["decision"] == "allow"]
    assert len(allowed) == 20
    refused = {answer["deny_code"] for answer in answers if answer["decision"] == "deny"}
    assert refused == {"RATE_LIMIT_EXCEEDED"}


def test_while_the_database_is_away_calls_are_denied_and_then_served_again(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with serving(tmp_path / "data", database_url=own_postgres.url("postgres"), workers=1) as server:
        token = provisioned(server, "away", rate_limit_per_minute=1000)
        assert call(server, token)["decision"] == "allow"
        own_postgres.stop()
        denied = call(server, token)
        assert (denied["decision"], denied["deny_code"]) == ("deny", "POLICY_ERROR")
        with server.client() as http:
            assert http.get("/mgmt/v1/roles").status_code == 503
            health = http.get("/healthz")
            assert (health.status_code, health.json()["db_status"]) == (503, "down")
        own_postgres.start()
        assert_served_within(server, token, 3.0)


def assert_served_within(server: RunningServer, token: str, seconds: float) -> None:
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if call(server, token).get("deny_code") != "POLICY_ERROR":
            return
        time.sleep(0.1)
    pytest.fail("the engine did not recover after the database's return")
