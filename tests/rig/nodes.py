"""The nodes of a run: servers under a supervisor, whose disks and clocks can be made to fail."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from signal import SIGKILL
from typing import Any
from unittest.mock import patch

from tests.bundles import quick_policies
from tests.faults import Faults
from tests.postgres import PostgresServer
from tests.processes import wait_until_gone
from tests.proxy import Proxy
from tests.rig.mix import SESSIONS
from tests.servers import free_port, serving
from tests.stepping import steppable
from tests.victims import WORKERS, Node

# Of sessions that share a node's threads: as much as the loaders ask for.
SETTINGS: dict[str, Any] = {
    "provision_per_minute": 1_000 * len(SESSIONS),
    "webhook_allow_http": "true",
    "webhook_networks": "127.0.0.0/8",
}


@dataclass
class Supervised(Node):
    """A node that is started again at once, at the same port, when its master dies.

    What is left of it is killed first, as a service manager does with the rest of a service.
    """

    port: int = field(default_factory=free_port)
    disk: Faults | None = None
    is_restarted: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, until `stop`. Only the first start has to bring about a node that is well."""
        disk = self.disk.environment if self.disk else {}
        with patch.dict(os.environ, disk):
            running = serving(
                self.data_dir,
                port=self.port,
                workers=WORKERS,
                sound=not self.is_restarted,
                **self.settings,
            )
            self.server = self.stack.enter_context(running)
        self.is_restarted = True

    def _start_again(self, family: set[int]) -> None:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        self.server.process.wait()
        assert wait_until_gone(family, 10) == set()
        self.stop()
        self.start()


@dataclass(frozen=True)
class Cluster:
    """All nodes, and the database they share with the way to it; None: each has its own."""

    nodes: list[Supervised]
    postgres: PostgresServer | None = None
    proxy: Proxy | None = None

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]


@contextmanager
def cluster(folder: Path, *, on_postgres: bool) -> Iterator[Cluster]:
    """Two nodes on PostgreSQL behind a proxy, or one on SQLite."""
    with ExitStack() as stack:
        stack.enter_context(steppable(folder / "clocks"))
        settings = {**SETTINGS, "policies": quick_policies(folder / "source")}
        if not on_postgres:
            yield Cluster([_started(stack, folder / "one", settings)])
            return
        postgres = PostgresServer("max_connections=200")
        stack.callback(postgres.close)
        proxy = stack.enter_context(Proxy(postgres.port))
        settings["database_url"] = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        one = _started(stack, folder / "one", settings)
        trusted = copytree(one.data_dir / "bundle-keys/trusted", folder / "trusted")
        two = _started(stack, folder / "two", {**settings, "bundle_keys": trusted})
        yield Cluster([one, two], postgres, proxy)


def _started(stack: ExitStack, data_dir: Path, settings: dict[str, Any]) -> Supervised:
    disk = data_dir.with_name(f"{data_dir.name}-disk")
    disk.mkdir(parents=True)
    node = Supervised(data_dir, None, settings, disk=Faults(disk))
    node.start()
    stack.callback(node.stop)
    return node
