"""Reading the decision log over the API: one record, a search, usage, and a file."""

import csv
import io
import itertools
import json
import time
from typing import Any

import pytest
from falcon.testing import Result

from scopebound_engine.database.engine import open_database
from scopebound_engine.log import chain
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.node import database_url, log_dir, node_id
from tests.api.clocked import Agent, Service
from tests.description import assert_valid, schema_of

DECISIONS, USAGE, EXPORT = "/mgmt/v1/decisions", "/mgmt/v1/analytics", "/mgmt/v1/audit/export"
ALLOWED, TOOL = "allow", "read_invoices"


def ask(service: Service, path: str, **parameters: object) -> Result:
    given = {name: str(value) for name, value in parameters.items()}
    return service.http.simulate_get(path, params=given)


def shipped(service: Service, decision_id: str) -> dict[str, Any]:
    """The record, brought into the database as a clerk does."""
    config = service.services.config
    engine = open_database(database_url(config), config.data_dir)
    Shipper(engine, log_dir(config), node_id(config.data_dir)).run()
    engine.dispose()
    answer = ask(service, f"{DECISIONS}/{decision_id}")
    assert answer.status_code == 200, answer.text
    assert_valid(schema_of("DecisionLine"), answer.json)
    return dict(answer.json)


@pytest.fixture(scope="module")
def agent(service: Service) -> Agent:
    return service.session(service.role(TOOL))


def test_an_answer_names_its_record(service: Service, agent: Agent) -> None:
    answer = agent.call("delete_invoice", call_id="the-call")
    line = shipped(service, answer["decision_id"])
    record = line["record"]
    assert record["event"] == "tool_call.deny"
    assert (record["decision"], record["deny_code"]) == ("deny", answer["deny_code"])
    assert (record["call_id"], record["tool_name"]) == ("the-call", "delete_invoice")
    assert record["session"]["id"] == agent.session_id
    assert line["chain"]["node"] == record["node"]


def test_a_search_goes_page_by_page(service: Service) -> None:
    agent = service.session(service.role(TOOL))
    asked = [agent.call(TOOL)["decision_id"] for _ in range(7)]
    shipped(service, asked[-1])
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(
            service,
            DECISIONS,
            session_id=agent.session_id,
            decision="allow",
            limit=3,
            event="tool_call.allow",
            **({"cursor": cursor} if cursor else {}),
        )
        assert_valid(schema_of("DecisionPage"), page.json)
        assert page.json["count"] == len(page.json["decisions"]) <= 3
        found += [one["record"]["id"] for one in page.json["decisions"]]
        cursor = page.json["next"]
        if cursor is None:
            break
    assert found == asked[::-1]


def test_a_role_is_found_by_its_name_and_its_id(service: Service) -> None:
    role_id = service.role(TOOL)
    name = ask(service, f"/mgmt/v1/roles/{role_id}").json["name"]
    shipped(service, service.session(role_id).call(TOOL)["decision_id"])
    for role in (role_id, name):
        assert ask(service, DECISIONS, role=role, event="tool_call.allow").json["count"] == 1


def test_times_bound_a_search(service: Service, agent: Agent) -> None:
    shipped(service, agent.call(TOOL)["decision_id"])
    for since, count in (("2001-01-01T00:00:00Z", 1), ("2901-01-01T00:00:00+01:00", 0)):
        found = ask(service, DECISIONS, since=since, limit=1).json["count"]
        assert found == count
    assert ask(service, DECISIONS, until="2001-01-01T00:00:00Z").json["count"] == 0


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        (DECISIONS, {"limit": 0}, "limit"),
        (DECISIONS, {"limit": 1001}, "limit"),
        (DECISIONS, {"cursor": "x"}, "cursor"),
        (DECISIONS, {"cursor": "1/2/3\n"}, "cursor"),
        (DECISIONS, {"cursor": ""}, "cursor"),
        (DECISIONS, {"since": "yesterday"}, "since"),
        (DECISIONS, {"since": "2026-04-29T12:00:00"}, "since"),
        (DECISIONS, {"tool": "x"}, "tool"),
        (DECISIONS, {"event": "x" * 301}, "event"),
        (DECISIONS, {"since": ""}, "since"),
        (USAGE, {"window_hours": 0}, "window_hours"),
        (USAGE, {"window_hours": 169}, "window_hours"),
        (USAGE, {"window_hours": "1.5"}, "window_hours"),
        (EXPORT, {"window_hours": 721}, "window_hours"),
        (EXPORT, {"format": "xml"}, "format"),
        (EXPORT, {"format": ""}, "format"),
    ],
)
def test_what_is_wrong_is_named(
    service: Service, path: str, parameters: dict[str, object], field: str
) -> None:
    answer = ask(service, path, **parameters)
    assert answer.status_code == 400
    assert answer.json["field"] == field


@pytest.mark.parametrize("path", [DECISIONS, f"{DECISIONS}/x", USAGE, EXPORT])
def test_the_log_is_for_auditors(service: Service, path: str) -> None:
    secrets = {}
    for scope in ("audit", "roles"):
        body = {"name": f"{scope}-{time.monotonic_ns()}", "scopes": [scope]}
        secrets[scope] = service.http.simulate_post("/mgmt/v1/api-keys", json=body).json["api_key"]
    for scope, statuses in (("audit", {200, 404}), ("roles", {403})):
        headers = {"X-Scopebound-API-Key": secrets[scope]}
        assert service.http.simulate_get(path, headers=headers).status_code in statuses


def test_usage_counts_calls_and_not_their_repeats(service: Service) -> None:
    before = ask(service, USAGE).json
    agent = service.session(service.role(TOOL))
    for _ in range(2):
        agent.call(TOOL, call_id="once")
    tool = f"never-{time.monotonic_ns()}"
    shipped(service, [agent.call(tool), agent.call(tool)][-1]["decision_id"])
    usage = ask(service, USAGE, window_hours=24).json
    assert_valid(schema_of("UsageAnswer"), usage)
    assert usage["allow_count"] - before["allow_count"] == 1
    assert usage["deny_count"] - before["deny_count"] == 2
    assert usage["total_calls"] == usage["allow_count"] + usage["deny_count"]
    assert usage["allow_rate"] == round(usage["allow_count"] / usage["total_calls"], 2)
    assert usage["calls_by_hour"][0]["hour"] < usage["calls_by_hour"][-1]["hour"]
    assert sum(hour["allow_count"] for hour in usage["calls_by_hour"]) == usage["allow_count"]


def test_exports_agree_and_are_recorded(service: Service, agent: Agent) -> None:
    last = agent.call(TOOL)["decision_id"]
    shipped(service, last)
    lines = ask(service, EXPORT, format="jsonl", window_hours=720).content.splitlines()
    assert last in {json.loads(line)["record"]["id"] for line in lines}
    for line, following in itertools.pairwise(lines):
        assert chain.split(following).prev == chain.digest(line)
    answer = ask(service, EXPORT, window_hours=720)
    assert "attachment" in answer.headers["content-disposition"]
    for one in answer.json:
        assert_valid(schema_of("DecisionLine"), one)
    assert answer.json[: len(lines)] == [json.loads(line) for line in lines]
    table = ask(service, EXPORT, format="csv", window_hours=720)
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["id"] for row in rows[: len(lines)]] == [
        one["record"]["id"] for one in answer.json[: len(lines)]
    ]
    shipped(service, agent.call(TOOL)["decision_id"])
    exported = ask(service, DECISIONS, event="log.exported").json["decisions"]
    assert [one["record"]["subject"]["id"] for one in exported[:3]] == ["csv", "json", "jsonl"]
