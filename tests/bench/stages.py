"""Where the time of one request goes: its stages without HTTP, beside a lone client's whole."""

import json
import socket
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from scopebound_engine.config import Config
from scopebound_engine.decision.facts import Call
from scopebound_engine.log.record import Asked
from scopebound_engine.wiring import build_services
from tests.bench.load import request
from tests.bench.scenario import TYPICAL
from tests.bench.service import Service
from tests.servers import API_KEY

# A request and its parts, in their order; those of a decision are called as `Stages` does.
STAGES = {
    "request": "a lone client's request",
    "token": "the token's signature",
    "state": "enter(): session state",
    "facts": "the facts",
    "policy": "the policy",
    "log": "its record in the decision log",
    "rest": "HTTP, JSON and the rest",
}


def shares(alone: float, measured: Mapping[str, float]) -> list[dict[str, Any]]:
    """A request that takes a lone client `alone` seconds and its stages, as rows."""
    whole = {"request": alone, **measured, "rest": alone - sum(measured.values())}
    return [
        {"name": STAGES[stage], "stage": stage, "us": seconds * 1e6, "share": seconds / alone}
        for stage, seconds in whole.items()
    ]


def stages(service: Service, pairs: int) -> tuple[float, dict[str, float]]:
    """The median seconds of a lone client's request, and of each stage of a decision.

    The stages are measured in this process, without HTTP. Requests and decisions take turns, so
    that whatever else the machine does weighs on them alike.
    """
    [body] = service.bodies(TYPICAL, sessions=1)
    services = build_services(_config(service))
    key = services.api_keys.authenticate(API_KEY)
    token = services.provisioner.provision(str(TYPICAL.role["name"]), 0, key).token
    call = Call("tool_call", TYPICAL.tool, dict(TYPICAL.arguments), "id", None)
    # As much as a record says of its request.
    asked: dict[str, Any] = {"id": str(uuid4()), "method": "POST", "path": "/v1/enforce"}
    asked |= {"peer": "127.0.0.1", "status": 200, "api_key_id": key.id}

    def decide() -> dict[str, float]:
        began = time.monotonic()
        decision = services.decisions.decide(call, token, began + 1)
        assert decision.verdict.allow, decision
        decided = time.perf_counter()
        services.recorder.decision(decision, Asked("tool_call", "id", began, asked))
        return asdict(decision.stages) | {"log": time.perf_counter() - decided}

    host, port = service.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        taken = [(_asked(connection, request(body)), decide()) for _ in range(pairs)][pairs // 5 :]
    services.close()
    return statistics.median(alone for alone, _ in taken), {
        name: statistics.median(stage[name] for _, stage in taken) for name in taken[0][1]
    }


def _config(service: Service) -> Config:
    settings: dict[str, Any] = {
        "data_dir": service.server.data_dir,
        "bootstrap_api_key": API_KEY,
    }
    if service.postgres is not None:
        settings["database_url"] = service.postgres.tcp_url()
    return Config.model_validate(settings)


def _asked(connection: socket.socket, sent: bytes) -> float:
    """The seconds until a request is answered."""
    began, answer = time.perf_counter(), b""
    connection.sendall(sent)
    while not answer.endswith(b"}"):  # the body comes in a packet of its own
        answer += connection.recv(65536)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["decision"] == "allow", answer
    return time.perf_counter() - began
