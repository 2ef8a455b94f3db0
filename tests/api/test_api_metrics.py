"""GET /metrics: what happened is what it says."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from scopebound_engine.api.app import create_app
from tests.api.clocked import Service
from tests.recording import make_recorder
from tests.servers import API_KEY

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

pytestmark = pytest.mark.parametrize("service", ["sqlite"], indirect=True)


def scrape(service: Service) -> Samples:
    """All samples, as Prometheus would read them; no API key is sent."""
    answer = service.http.simulate_get("/metrics", headers={"X-Scopebound-API-Key": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def at(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"scopebound_{name}", frozenset(labels.items())), 0.0)


def decisions(samples: Samples, event: str, code: str = "") -> float:
    return at(samples, "decisions_total", event=event, deny_code=code)


def test_decisions_are_counted_by_event_and_code(service: Service) -> None:
    before = scrape(service)
    agent = service.session(service.role("read"))
    assert agent.verdict("read", call_id="one") == "allow"
    assert agent.call("read", call_id="one")["replayed"]
    assert agent.verdict("write") == "SCOPE_VIOLATION"
    assert agent.verdict("read", mcp_server="files") == "allow"
    body = {"jwt": "no token", "tool_name": "read", "call_args": {}}
    assert service.http.simulate_post("/v1/enforce", json=body).json["deny_code"] == "JWT_INVALID"
    after = scrape(service)
    for event, code in (
        ("tool_call.allow", ""),
        ("tool_call.replay", ""),
        ("tool_call.deny", "SCOPE_VIOLATION"),
        ("mcp_tool_call.allow", ""),
        ("tool_call.deny", "JWT_INVALID"),
    ):
        assert decisions(after, event, code) == decisions(before, event, code) + 1
    assert at(after, "decision_seconds_count") == at(before, "decision_seconds_count") + 5
    assert at(after, "decision_seconds_sum") > at(before, "decision_seconds_sum")
    for stage, count in (("policy", 4), ("journal", 5), ("token", 4)):
        counted = [at(one, "decision_stage_seconds_count", stage=stage) for one in (before, after)]
        assert counted[1] - counted[0] == count


def test_the_buckets_of_a_duration_grow_up_to_its_count(service: Service) -> None:
    service.session(service.role("read")).call("read")
    samples = scrape(service)
    buckets = {
        float(dict(labels)["le"]): value
        for (name, labels), value in samples.items()
        if name == "scopebound_decision_seconds_bucket"
    }
    counts = [buckets[bound] for bound in sorted(buckets)]
    assert counts == sorted(counts)
    assert counts[-1] == at(samples, "decision_seconds_count") > 0


def test_labels_name_nothing_that_callers_choose(service: Service) -> None:
    agent = service.session(service.role("read"))
    agent.call("a-tool-of-the-caller", mcp_server="a-server-of-the-caller")
    text = service.http.simulate_get("/metrics").text
    assert "of-the-caller" not in text


def test_the_bundle_and_the_log_are_told_of(service: Service) -> None:
    service.session(service.role("read")).call("read")
    samples = scrape(service)
    assert at(samples, "bundle_generation") == 1
    assert at(samples, "bundle_age_seconds") > 0
    assert at(samples, "journal_writable") == 1
    assert at(samples, "checkpoint_lag_records") > 0
    assert at(samples, "clerk_up") == 0


def test_denials_for_want_of_a_record_are_counted_and_the_node_is_down(
    service: Service, tmp_path: Path
) -> None:
    agent = service.session(service.role("read"))
    before = scrape(service)
    (tmp_path / "file").write_text("no folder can be made below this")
    services = replace(service.services, recorder=make_recorder(tmp_path / "file"))
    http = TestClient(create_app(services), headers={"X-Scopebound-API-Key": API_KEY})
    broken = replace(service, services=services, http=http)
    assert replace(agent, service=broken).verdict("read") == "POLICY_ERROR"
    after = scrape(broken)
    assert at(after, "unrecorded_denials_total") == at(before, "unrecorded_denials_total") + 1
    assert decisions(after, "tool_call.allow") == decisions(before, "tool_call.allow")
    assert (at(before, "journal_writable"), at(after, "journal_writable")) == (1, 0)
    health = http.simulate_get("/healthz")
    assert (health.status_code, health.json["status"]) == (503, "down")
    assert any("the decision log cannot be written" in one for one in health.json["problems"])


def test_counters_that_cannot_be_read_are_left_out_and_all_else_is_told(service: Service) -> None:
    unreadable = service.services.log_dir.parent / "metrics" / "200"
    unreadable.mkdir()
    samples = scrape(service)
    unreadable.rmdir()
    assert not [name for name, _ in samples if "_total" in name or "_count" in name]
    assert at(samples, "journal_writable") == 1
    assert at(scrape(service), "decision_seconds_count") > 0
