"""The benchmark's own parts, against a real server and for a moment only; without wrk."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import load, measure
from tests.bench.kinds import KINDS
from tests.bench.scenario import TYPICAL
from tests.bench.service import service
from tests.servers import RunningServer


def test_a_row_says_what_a_call_cost_whom(tmp_path: Path) -> None:
    with service(tmp_path, workers=1) as found:
        bodies = found.bodies(TYPICAL, sessions=3)
        given = found.input(bodies[0])
        row = measure.measured(found, lambda: load.opened(found.server, bodies, 40, 1.0))
        least = measure.over_alone(found, bodies[0], row, 0.1)
    assert row["answers"] == 40
    assert row["denied"] == 0
    assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["most_ms"]
    assert row["cpu_us"] == pytest.approx(sum(row["cpu_by_kind_us"][kind] for kind in KINDS))
    assert row["cpu_by_kind_us"]["workers"] > 0
    assert row["stages_us"].keys() >= {"all", "token", "state", "facts", "policy", "journal"}
    assert row["memory_mb"]["evaluators"] > 0
    assert least["alone_us"] > 0
    # Everything is switched on: drift has a baseline, limits are counted.
    assert given["session"]["drift"]["ready"]
    assert given["session"]["rate"]["minute"]["granted"]


ANSWER = b"HTTP/1.1 200 OK\r\n\r\n{}"


@contextmanager
def answering(answer: bytes = ANSWER, stalled: float = 0.0) -> Iterator[RunningServer]:
    """What answers every request at once, but for the first, which waits so many seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_answer, args=(listening, answer, stalled), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield RunningServer(url, None, Path(), Path())  # type: ignore[arg-type]


def _answer(listening: socket.socket, answer: bytes, stalled: float) -> None:
    """One thread for all connections: while one waits, so do all."""
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listening:
                    try:
                        selector.register(listening.accept()[0], selectors.EVENT_READ)
                    except OSError:
                        return
                    continue
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if not connection.recv(65536):
                    selector.unregister(connection)
                    connection.close()
                    continue
                time.sleep(stalled)
                stalled = 0.0
                connection.sendall(answer)


def test_a_stall_is_not_hidden_by_the_calls_that_it_kept_from_leaving() -> None:
    with answering(stalled=0.5) as server:
        opened, _ = load.opened(server, ["{}"], 100, 1.0)
    # Half of all calls were due within the stall and waited a quarter of a second on average.
    assert opened.per_second == pytest.approx(100, rel=0.2)
    assert opened.p90_ms > 200
    with answering(stalled=0.5) as server:
        closed, _ = load.closed(server, ["{}"], 1, 1.0)
    assert closed.p90_ms < 100 < closed.most_ms


def test_calls_leave_at_the_rate_that_is_asked_for() -> None:
    with answering() as server:
        found, spent = load.opened(server, ["{}"], 500, 1.0)
    assert found.per_second == pytest.approx(500, rel=0.1)
    assert 0 < spent < 1


def test_an_answer_that_is_none_ends_the_load() -> None:
    refusal = b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"status":503}'
    with answering(refusal) as server, pytest.raises(RuntimeError, match="503"):
        load.closed(server, ["{}"], 1, 1.0)
