"""The closed model by wrk: each connection sends its next call when the last one is answered.

wrk adds the latencies of the calls that a stall kept from leaving, as its kind of load must
(https://github.com/wg/wrk/blob/master/src/stats.c, stats_correct).
"""

import json
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Summary
from tests.servers import API_KEY, RunningServer

_SCRIPT = Path(__file__).with_name("enforce.lua")


def require() -> None:
    """Raises SystemExit where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on the PATH; install it: apt-get install wrk")


def closed(
    server: RunningServer, bodies: Sequence[str], connections: int, seconds: float
) -> tuple[Summary, float]:
    """What wrk finds, and the processor seconds that it spent itself.

    Raises RuntimeError where a call was not answered with 200.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(f"{body}\n" for body in bodies))
        file.flush()
        before = _children_seconds()
        # Whole seconds are all that wrk takes.
        said = subprocess.run(
            ["wrk", "--threads", "1", "--connections", str(connections), "--timeout", "5s",
             "--duration", f"{max(1, round(seconds))}s", "--script", _SCRIPT,
             "--header", f"X-Scopebound-API-Key: {API_KEY}",
             "--header", "Content-Type: application/json",
             f"{server.url}/v1/enforce", "--", file.name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout  # fmt: skip
    found = json.loads(said.splitlines()[-1])
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} calls failed, the server's log says why:\n{said}")
    per_second = found["requests"] / found["duration"] * 1e6
    return Summary(per_second, *found["ms"]), _children_seconds() - before


def _children_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
