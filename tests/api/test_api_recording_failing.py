"""What cannot be recorded is denied."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.api.clocked import Service
from tests.api.recorded import with_parts


@contextmanager
def unwritable(service: Service) -> Iterator[None]:
    """The journal's folder is gone, and there can be none."""
    folder = service.services.config.data_dir / "log"
    service.services.recorder.close()
    folder.rename(folder.with_name("former"))
    folder.write_text("")
    yield
    folder.unlink()


def test_what_cannot_be_recorded_is_denied_and_no_call_of_its_session(lone: Service) -> None:
    role_id = lone.role("read", rate_limit_per_minute=30)
    agent = lone.session(role_id)
    assert agent.verdict("read") == "allow"
    with unwritable(lone):
        answer = agent.answer("read")
        denied = agent.call("delete")
        refused = lone.http.simulate_post("/v1/provision", json={"role_id": role_id})
    said = answer.json
    assert (said["decision"], said["deny_code"]) == ("deny", "POLICY_ERROR")
    assert "decision log" in said["reason"]
    assert said.keys().isdisjoint({"decision_id", "bundle_id"})
    assert "RateLimit" in answer.headers
    assert denied["deny_code"] == "POLICY_ERROR"
    assert refused.status_code == 503
    assert refused.json["type"] == "urn:scopebound:problem:unrecorded"
    assert "jwt" not in refused.json
    assert agent.verdict("read") == "allow"
    assert agent.look()["calls"] == {"read": 2}


def test_a_fault_of_the_recorder_itself_is_a_denial_too(lone: Service) -> None:
    class Faulty:
        def decision(self, *_: Any) -> str:
            raise ZeroDivisionError

    agent = lone.session(lone.role("read"))
    broken = replace(agent, service=with_parts(lone, recorder=Faulty()))
    assert broken.verdict("read") == "POLICY_ERROR"
