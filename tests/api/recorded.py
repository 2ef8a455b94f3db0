"""What a service records of what a test asks of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from scopebound_engine.api.app import create_app
from tests.api.clocked import Agent, Service
from tests.recording import Record, records_of
from tests.servers import API_KEY

SUBJECTS = {"/v1/enforce": "tool_call", "/v1/mcp/enforce": "mcp_tool_call"}
ENDPOINTS = pytest.mark.parametrize("path", SUBJECTS)


def log_of(service: Service) -> list[Record]:
    return records_of(service.services.config.data_dir)


@contextmanager
def recording(service: Service) -> Iterator[list[Record]]:
    """What is recorded within the block, once it is over."""
    before, new = len(log_of(service)), list[Record]()
    yield new
    new += log_of(service)[before:]


def post(service: Service, path: str, **request: Any) -> tuple[Result, Record]:
    """The answer, and the one record that it left."""
    with recording(service) as new:
        answer = service.http.simulate_post(path, **request)
    [record] = new
    return answer, record


def call(agent: Agent, **changes: Any) -> dict[str, Any]:
    return {"jwt": agent.jwt, "tool_name": "read", "call_args": {}, **changes}


def assert_of_one_piece(answer: Result, record: Record) -> None:
    """What was answered is what was recorded."""
    said = answer.json
    assert answer.status_code == record["request"]["status"] == 200
    assert said["decision_id"] == record["id"]
    for name in ("decision", "call_id", "deny_code"):
        assert said.get(name) == record.get(name)
    assert said.get("violations", []) == [
        {name: value for name, value in violation.items() if name != "rules"}
        for violation in record.get("violations", [])
    ]
    assert said.get("bundle_checksum") == record.get("bundle", {}).get("checksum")
    assert answer.headers["x-request-id"] == record["request"]["id"]
    assert record["event"].endswith(f".{said['decision']}")


def with_parts(service: Service, **parts: Any) -> Service:
    services = replace(service.services, **parts)
    http = TestClient(create_app(services), headers={"X-Scopebound-API-Key": API_KEY})
    return replace(service, services=services, http=http)
