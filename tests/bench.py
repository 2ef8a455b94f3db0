"""`make bench`: how fast a real server decides, and where the time goes. Prints, asserts nothing.

Closed model: each connection sends its next call when the last one is answered. Half load: calls
leave on a schedule at half the closed model's rate, and latency counts from the scheduled time, so
that a stall is not hidden by the calls it kept from leaving.
"""

import json
import os
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from scopebound_engine.bundle.format.build import build
from scopebound_engine.config import SHIPPED, Config
from scopebound_engine.decision.facts import Call
from scopebound_engine.log.record import Asked
from scopebound_engine.wiring import build_services
from tests.bundles import packed, server_key
from tests.postgres import PostgresServer
from tests.servers import API_KEY, RunningServer, serving

SECONDS = float(os.environ.get("SCOPEBOUND_TEST_BENCH_SECONDS", "5"))
ROLE = {
    "name": "bench",
    "allowed_tools": ["read_invoices", "send_email", "list_vendors"],
    "parameter_constraints": {
        "send_email": [{"field": "to", "operator": "regex", "value": r"^[^@]+@company\.com$"}],
        "read_invoices": [{"field": "amount", "operator": "lt", "value": 50000}],
    },
    "allowed_days": [0, 1, 2, 3, 4, 5, 6],
    "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
    "rate_limit_per_minute": 1_000_000_000,
    "rate_limit_per_hour": 1_000_000_000,
}
ARGUMENTS = {"status": "pending", "amount": 25000, "env": "staging", "limit": 100}
# PostgreSQL as an installation has it; the tests' servers trade safety for speed.
DURABLE = ("fsync=on", "full_page_writes=on", "shared_buffers=128MB")
# The stages of a decision in their order, and what they are called.
STAGES = {
    "token": "the token's signature",
    "state": "enter(): session state",
    "facts": "the facts",
    "policy": "the policy",
    "log": "its record in the decision log",
}
MOST_OF_ENTER = 0.25
MOST_OF_LOG = 0.10
PAIRS = 3000


def main() -> None:
    """Measure one and two workers and the stages of one decision on each database; then uploads."""
    print(
        f"{SECONDS:.0f} s a row; one machine of {os.cpu_count()} processors runs server, database "
        f"and load; load average {os.getloadavg()[0]:.1f} before"
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = PostgresServer(*DURABLE)
        stack.callback(postgres.close)
        deciding("SQLite", folder / "sqlite", {})
        deciding("PostgreSQL", folder / "postgres", {"database_url": postgres.tcp_url()})
    taken = uploads()
    print(
        f"\nUpload of the shipped bundle, gate and activation on 2 workers included: median "
        f"{statistics.median(taken):.2f} s, slowest {max(taken):.2f} s of {len(taken)}"
    )


def deciding(title: str, data_dir: Path, settings: Mapping[str, Any]) -> None:
    """Print the rates and latencies on a database, and where the time of a request goes."""
    print(f"\n{title}")
    print(f"{'workers':>7} {'model':<22} {'req/s':>7} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7}")
    for workers in (1, 2):
        with serving(data_dir, workers=workers, **settings) as server:
            request = _request(server)
            _row(workers, "closed, 1 connection", load(server, request, 1))
            peak = load(server, request, 4 * workers)
            _row(workers, f"closed, {4 * workers} connections", peak)
            half = len(peak) / SECONDS / 2
            _row(workers, "half load", load(server, request, 4 * workers, half))
    with serving(data_dir, workers=1, **settings) as server:
        shares(*stages(server, settings))


def shares(alone: float, measured: Mapping[str, float]) -> None:
    """Print the stages' shares of a request that takes a lone client `alone` seconds."""
    print(f"A request of a lone client takes {alone * 1e6:.0f} µs (p50); of these")
    rest = alone - sum(measured.values())
    named = {STAGES[name]: seconds for name, seconds in measured.items()}
    for name, seconds in {**named, "HTTP, JSON and the rest": rest}.items():
        print(f"  {name:<28} {seconds * 1e6:7.0f} µs {seconds / alone:6.1%}")
    for name, stage, aim in (
        ("enter()", "state", MOST_OF_ENTER),
        ("the decision log", "log", MOST_OF_LOG),
    ):
        print(f"{name} is {measured[stage] / alone:.1%} of a request; the aim is {aim:.0%} at most")


def load(
    server: RunningServer, request: bytes, connections: int, rate: float | None = None
) -> list[float]:
    """Latencies in seconds. With a rate, calls leave on a schedule, else as fast as answered."""
    host, port = server.url.removeprefix("http://").split(":")
    free = [socket.create_connection((host, int(port))) for _ in range(connections)]
    selector = selectors.DefaultSelector()
    sent: dict[socket.socket, float] = {}
    answers: dict[socket.socket, bytes] = {}
    latencies: list[float] = []
    for connection in free:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
    started = time.perf_counter()
    number = 0
    while (now := time.perf_counter()) < started + SECONDS:
        while free and (rate is None or started + number / rate <= now):
            connection = free.pop()
            sent[connection] = now if rate is None else started + number / rate
            connection.sendall(request)
            number += 1
        due = None if rate is None else max(0.0, started + number / rate - time.perf_counter())
        for key, _ in selector.select(timeout=min(due or 0.0005, 0.0005) if rate else 1):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answers[connection] = answers.get(connection, b"") + connection.recv(65536)
            if not answers[connection].endswith(b"}"):
                continue  # the body comes in a packet of its own
            assert b'"decision":"allow"' in answers.pop(connection)
            latencies.append(time.perf_counter() - sent.pop(connection))
            free.append(connection)
    for connection in [*free, *sent]:
        connection.close()
    return latencies


def stages(server: RunningServer, settings: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
    """The median seconds of a lone client's request, and of each stage of a decision.

    The stages are measured in this process, without HTTP. Requests and decisions take turns, so
    that whatever else the machine does weighs on them alike.
    """
    config = Config.model_validate(
        {"data_dir": server.data_dir, "bootstrap_api_key": API_KEY, **settings}
    )
    request, services = _request(server), build_services(config)
    key = services.api_keys.authenticate(API_KEY)
    token = services.provisioner.provision(str(ROLE["name"]), 0, key).token
    call = Call("tool_call", "read_invoices", ARGUMENTS, "id", None)
    # As much as a record says of its request.
    asked = {"id": str(uuid4()), "method": "POST", "path": "/v1/enforce", "peer": "127.0.0.1"}
    asked |= {"status": 200, "api_key_id": key.id}

    def decide() -> dict[str, float]:
        began = time.monotonic()
        decision = services.decisions.decide(call, token, began + 1)
        assert decision.verdict.allow, decision
        decided = time.perf_counter()
        services.recorder.decision(decision, Asked("tool_call", "id", began, asked))
        return asdict(decision.stages) | {"log": time.perf_counter() - decided}

    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        pairs = [(_asked(connection, request), decide()) for _ in range(PAIRS)][PAIRS // 5 :]
    services.close()
    return statistics.median(alone for alone, _ in pairs), {
        name: statistics.median(stage[name] for _, stage in pairs) for name in STAGES
    }


def _asked(connection: socket.socket, request: bytes) -> float:
    """The seconds until a request is answered."""
    began, answer = time.perf_counter(), b""
    connection.sendall(request)
    while not answer.endswith(b"}"):  # the body comes in a packet of its own
        answer += connection.recv(65536)
    assert b'"decision":"allow"' in answer
    return time.perf_counter() - began


def uploads(count: int = 5) -> list[float]:
    """Seconds of uploads of the shipped policies with all their tests, each a new version."""
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    manifest = json.loads(files["manifest.json"])
    taken = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "data") as server,
        server.client(timeout=60) as http,
    ):
        key = server_key(server.data_dir)
        for number in range(1, count + 1):
            changed = manifest | {"version": f"1.0.{number}"}
            data = packed(key, files | {"manifest.json": json.dumps(changed).encode()})
            began = time.perf_counter()
            http.post("/mgmt/v1/bundles/upload", content=data).raise_for_status()
            taken.append(time.perf_counter() - began)
    return taken


def _request(server: RunningServer) -> bytes:
    with server.client() as http:
        http.post("/mgmt/v1/roles", json=ROLE)  # 409 where it is there already
        token = http.post("/v1/provision", json={"role_id": "bench"}).json()["jwt"]
    body = json.dumps({"jwt": token, "tool_name": "read_invoices", "call_args": ARGUMENTS})
    return (
        f"POST /v1/enforce HTTP/1.1\r\nHost: bench\r\nX-Scopebound-API-Key: {API_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _row(workers: int, model: str, latencies: list[float]) -> float:
    ordered = sorted(latencies)

    def at(share: float) -> float:
        return ordered[int(share * (len(ordered) - 1))] * 1000

    print(
        f"{workers:>7} {model:<22} {len(ordered) / SECONDS:>7.0f} "
        f"{at(0.5):>7.2f} {at(0.99):>7.2f} {ordered[-1] * 1000:>7.2f}"
    )
    return at(0.5) / 1000


if __name__ == "__main__":
    main()
