"""A server, and all of it that can be killed with -9; what does not come back is started again.

On SQLite, or on a PostgreSQL of its own, which can be killed too.
"""

import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx

from tests.bundles import quick_policies
from tests.postgres import PostgresServer
from tests.processes import children, command, descendants, name, wait_until_gone
from tests.servers import PLAIN, serving

WORKERS = 2
RECOVERY_SECONDS = 30.0

Victims = dict[str, Callable[[random.Random], None]]


@dataclass
class Node:
    """A server with its data folder; `server` is another one after each restart."""

    data_dir: Path
    postgres: PostgresServer | None
    settings: dict[str, Any] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)
    # Evaluators, and spawners of some, whose workers lived.
    evaluators_killed: int = 0

    def victims(self) -> Victims:
        """What can be killed, by name; what is killed then is back or on its way back."""
        found: Victims = {
            "worker": self.kill_worker,
            "evaluator": self.kill_evaluator,
            "master": self.kill_master,
            "node": self.kill_node,
        }
        if self.postgres is not None:
            found |= {"postgres": self.kill_postgres, "connection": self.kill_connection}
        return found

    def start(self) -> None:
        """Serve, until `stop`."""
        settings = dict(self.settings)
        if self.postgres is not None:
            settings["database_url"] = self.postgres.url()
            settings["policies"] = quick_policies(self.data_dir.parent / "source")
        running = serving(self.data_dir, workers=WORKERS, **settings)
        self.server = self.stack.enter_context(running)

    def stop(self) -> None:
        """End as an operator would."""
        self.stack.close()

    def workers(self) -> list[int]:
        return [pid for pid in children(self.server.process.pid) if "serve" in command(pid)]

    def kill_worker(self, rng: random.Random) -> None:
        if workers := self.workers():
            os.kill(rng.choice(workers), SIGKILL)

    def kill_evaluator(self, rng: random.Random) -> None:
        """Or whatever else a worker started: a spawner, the gate's child."""
        below = [pid for worker in self.workers() for pid in descendants(worker)]
        if below:
            killed = rng.choice(below)
            evaluates = name(killed) in {"spawner", "evaluator"}
            with suppress(ProcessLookupError):
                os.kill(killed, SIGKILL)
                self.evaluators_killed += evaluates

    def kill_shipper(self, rng: random.Random) -> None:
        """The worker that does the housekeeping, or the process that does it for that one."""
        if not (self.data_dir / "housekeeping.lock").exists():
            return
        lock = (self.data_dir / "housekeeping.lock").stat().st_ino
        holders = [
            int(fields[4])
            for line in Path("/proc/locks").read_text().splitlines()
            if (fields := line.split())[1] == "FLOCK" and fields[5].endswith(f":{lock}")
        ]
        found = descendants(self.server.process.pid)
        clerks = [pid for pid, words in found.items() if "clerk" in words]
        if shippers := [*(set(holders) & found.keys()), *clerks]:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(shippers), SIGKILL)

    def kill_master(self, _: random.Random) -> None:
        family = set(descendants(self.server.process.pid))
        self.server.process.kill()
        self._start_again(family)

    def kill_node(self, _: random.Random) -> None:
        """All its processes at once, as when the machine's power fails."""
        family = set(descendants(self.server.process.pid))
        for pid in [self.server.process.pid, *family]:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        self._start_again(family)

    def kill_postgres(self, _: random.Random) -> None:
        assert self.postgres is not None
        self.postgres.kill()
        self.postgres.start()

    def kill_connection(self, rng: random.Random) -> None:
        assert self.postgres is not None
        self.postgres.kill_connection(rng.randrange(1000))

    def wait_until_recovered(self) -> None:
        """Every worker is there, runs what is in force, and can decide."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        health: dict[str, Any] = {}
        url = f"{self.server.url}/healthz"
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                health = httpx.get(url, timeout=1, **PLAIN).json()
                alive = {
                    worker["pid"]
                    for worker in health["workers"]
                    if worker["silent_seconds"] < 1
                    and worker["generation"] == health["bundle_generation"]
                }
                whole = len(alive) >= WORKERS and alive >= set(self.workers())
                if whole and (health["status"] == "ok" or _is_only_named(health)):
                    return
            time.sleep(0.05)
        raise AssertionError(f"not recovered: {health}\n{self.server.log.read_text()[-4000:]}")

    def _start_again(self, family: set[int]) -> None:
        """A worker without its master ends when its change is made or refused."""
        self.server.process.wait()
        assert wait_until_gone(family, RECOVERY_SECONDS) == set()
        self.stop()
        self.start()


def _is_only_named(health: dict[str, Any]) -> bool:
    """Whether all that is wrong is a refusal, which is named for a minute: a candidate's evaluators
    were killed."""
    problems = health["problems"]
    return bool(problems) and all("SIGKILL" in problem for problem in problems)
