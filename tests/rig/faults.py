"""The faults of nodes, each a function that does one to a cluster and says when it was.

What is killed comes back by itself or is started again; what lasts is over when the function
returns. Where a fault takes the service of a node away for as long as it lasts (its database is
stopped, its disk full), time without service counts from its end; else from its beginning.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.bundles import server_key
from tests.rig import hostile
from tests.rig.changes import Changer
from tests.rig.history import Fault
from tests.rig.nodes import Cluster, Supervised
from tests.stepping import step
from tests.watching import until


@dataclass(frozen=True)
class World:
    """What faults are done to.

    `held`: how long lasting ones last; `stopped`: how long a worker stands still. `hostile` is what
    was wrong with answers to hostile requests.
    """

    cluster: Cluster
    changer: Changer
    rng: random.Random
    held: float
    stopped: float
    hostile: list[str] = field(default_factory=list)

    def node(self) -> tuple[int, Supervised]:
        """Any node, with its number."""
        number = self.rng.randrange(len(self.cluster.nodes))
        return number, self.cluster.nodes[number]


Inflicted = Callable[[World], Fault]


def killed_worker(world: World) -> Fault:
    number, node = world.node()
    return at_once("worker killed", number, lambda: node.kill_worker(world.rng))


def killed_evaluator(world: World) -> Fault:
    number, node = world.node()
    return at_once("evaluator killed", number, lambda: node.kill_evaluator(world.rng))


def killed_clerk(world: World) -> Fault:
    number, node = world.node()
    return at_once("clerk killed", number, lambda: node.kill_shipper(world.rng))


def killed_master(world: World) -> Fault:
    number, node = world.node()
    return at_once("master killed", number, lambda: node.kill_master(world.rng))


def killed_node(world: World) -> Fault:
    number, node = world.node()
    return at_once("whole node killed", number, lambda: node.kill_node(world.rng))


def stopped_worker(world: World) -> Fault:
    """A worker stands still while another bundle is put in force."""
    number, node = world.node()
    until(node.workers)
    stopped = world.rng.choice(node.workers())

    @contextmanager
    def still() -> Iterator[None]:
        os.kill(stopped, signal.SIGSTOP)
        try:
            world.changer.hurry()
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(stopped, signal.SIGCONT)

    fault = lasting("worker stopped", number, still(), world.stopped)
    return fault._replace(stopped=True)


def full_disk(world: World) -> Fault:
    return _failing_disk(world, "disk full", room=0)


def sick_disk(world: World) -> Fault:
    return _failing_disk(world, "disk fails", pwrite=5)


def clock_ahead(world: World) -> Fault:
    number, node = world.node()
    return lasting("clock an hour ahead", number, _stepped(node, 3600), world.held)


def clock_behind(world: World) -> Fault:
    """Tokens are then of the future, which are refused."""
    number, node = world.node()
    stepped = _stepped(node, -3600)
    return lasting("clock an hour behind", number, stepped, world.held, takes_away=True)


def hostile_bodies(world: World) -> Fault:
    """Slow connections that drip, and bodies that no sane client sends."""
    number, node = world.node()
    wrong = hostile.send_bodies(node.server, world.held)
    return at_once("hostile bodies", number, lambda: world.hostile.extend(wrong))


def hostile_bundles(world: World) -> Fault:
    number, node = world.node()
    key = server_key(world.cluster.nodes[0].data_dir)  # which all nodes trust
    wrong = hostile.push_bundles(node.server, world.held, key, world.rng)
    return at_once("hostile bundles", number, lambda: world.hostile.extend(wrong))


OF_NODES: tuple[Inflicted, ...] = (
    killed_worker,
    killed_evaluator,
    killed_clerk,
    killed_master,
    killed_node,
    stopped_worker,
    full_disk,
    sick_disk,
    clock_ahead,
    clock_behind,
    hostile_bodies,
    hostile_bundles,
)


def at_once(name: str, node: int, inflict: Callable[[], None]) -> Fault:
    """One that is over when it was done, or what was killed was started again."""
    begun = time.monotonic()
    inflict()
    return Fault(name, node, begun, time.monotonic(), begun)


def lasting(
    name: str,
    node: int,
    state: AbstractContextManager[None],
    seconds: float,
    *,
    takes_away: bool = False,
) -> Fault:
    """One that lasts. `takes_away`: for so long there can be no service."""
    begun = time.monotonic()
    with state:
        time.sleep(seconds)
    ended = time.monotonic()
    return Fault(name, node, begun, ended, ended if takes_away else begun)


def _failing_disk(world: World, name: str, **fails: int) -> Fault:
    number, node = world.node()
    disk = node.disk
    assert disk is not None

    @contextmanager
    def failing() -> Iterator[None]:
        disk.begin(**fails)
        try:
            yield
        finally:
            disk.end()

    return lasting(name, number, failing(), world.held, takes_away=True)


@contextmanager
def _stepped(node: Supervised, seconds: int) -> Iterator[None]:
    step(node.server, seconds)
    try:
        yield
    finally:
        step(node.server, 0)
