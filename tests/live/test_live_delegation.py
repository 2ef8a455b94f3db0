"""Trees of sessions on two nodes of one PostgreSQL: with its root, all of a tree ends at once."""

import random
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bundles import quick_policies
from tests.postgres import Databases
from tests.servers import RunningServer, serving

SIZE = 1_000
CHILDREN = 10
AT_ONCE = 6
ROLE = {"name": "agent", "allowed_tools": ["read"], "max_delegation_depth": 4}
# Where tests share few processors, an evaluator may wait for one longer than the defaults.
PATIENT: dict[str, Any] = {"evaluation_deadline_ms": 900, "total_deadline_ms": 1900}

Nodes = tuple[RunningServer, RunningServer]


@dataclass(frozen=True)
class Spawned:
    """A session of the tree."""

    id: str
    jwt: str


@pytest.fixture
def nodes(postgres_databases: Databases, tmp_path: Path) -> Iterator[Nodes]:
    name = postgres_databases.create()
    shared = {
        "database_url": postgres_databases.url(name),
        "policies": quick_policies(tmp_path / "source"),
        "workers": 1,
        **PATIENT,
    }
    with serving(tmp_path / "one", **shared) as one:
        trusted = shutil.copytree(tmp_path / "one/bundle-keys/trusted", tmp_path / "trusted")
        with serving(tmp_path / "two", bundle_keys=trusted, **shared) as two:
            yield one, two


def spawn(http: httpx.Client, parent: Spawned | None) -> httpx.Response:
    wish = {"role_id": ROLE["name"], "parent_session_id": parent and parent.id}
    return http.post("/v1/provision", json=wish)


def make(http: httpx.Client, parent: Spawned | None) -> Spawned:
    """A session; where other tests keep the machine busy, at the second or third attempt."""
    for _ in range(20):
        answer = spawn(http, parent)
        if answer.status_code != 503:
            break
        time.sleep(0.2)
    return made(answer)


def made(answer: httpx.Response) -> Spawned:
    assert answer.status_code == 200, answer.text
    return Spawned(answer.json()["session_id"], answer.json()["jwt"])


def decide(http: httpx.Client, session: Spawned) -> dict[str, Any]:
    body = {"jwt": session.jwt, "tool_name": "read", "call_args": {}}
    return dict(http.post("/v1/enforce", json=body).json())


def grow(https: Sequence[httpx.Client], root: Spawned) -> list[Spawned]:
    """A tree of SIZE sessions, every second one made at the other node."""
    tree, level = [root], [root]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while len(tree) < SIZE:
            parents = [parent for parent in level for _ in range(CHILDREN)][: SIZE - len(tree)]
            turns = enumerate(parents)
            level = list(threads.map(lambda turn: make(https[turn[0] % 2], turn[1]), turns))
            tree += level
    return tree


@dataclass
class Bustle:
    """Calls of a tree's sessions and new sessions under them, at both nodes, without a pause."""

    https: Sequence[httpx.Client]
    tree: Sequence[Spawned]
    decisions: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    spawned: list[tuple[float, httpx.Response]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def call(self, http: httpx.Client) -> None:
        while not self.over.is_set():
            begun = time.monotonic()
            self.decisions.append((begun, decide(http, random.choice(self.tree))))

    def spawn(self, http: httpx.Client) -> None:
        while not self.over.is_set():
            begun = time.monotonic()
            self.spawned.append((begun, spawn(http, random.choice(self.tree))))

    def run(self) -> list[threading.Thread]:
        tasks = [(task, http) for http in self.https for task in (self.call, self.spawn)]
        threads = [threading.Thread(target=task, args=(http,)) for task, http in tasks]
        for thread in threads:
            thread.start()
        return threads


def test_with_its_root_a_tree_of_a_thousand_sessions_ends_at_once_on_both_nodes(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        https = [stack.enter_context(node.client()) for node in nodes]
        https[0].post("/mgmt/v1/roles", json=ROLE).raise_for_status()
        bystander, root = (make(https[0], None) for _ in range(2))
        tree = grow(https, root)
        bustle = Bustle(https, tree)
        threads = bustle.run()
        time.sleep(0.5)
        began = time.monotonic()
        revoked = https[1].delete(f"/v1/sessions/{root.id}", params={"reason": "stop"}).json()
        answered = time.monotonic()
        time.sleep(0.5)
        bustle.over.set()
        for thread in threads:
            thread.join()

        later = [decision for begun, decision in bustle.decisions if begun >= answered]
        assert {decision["decision"] for decision in later} == {"deny"}
        sooner = [decision for begun, decision in bustle.decisions if begun < began]
        assert "allow" in {decision["decision"] for decision in sooner}
        refused = [answer for begun, answer in bustle.spawned if begun >= answered]
        assert 403 in {answer.status_code for answer in refused} <= {403, 503}
        grown = [made(answer) for _, answer in bustle.spawned if answer.status_code == 200]
        assert grown
        # Each was made before the tree ended, and so ended with it.
        assert revoked["sessions_ended"] == len(tree) + len(grown)

        everyone = [(http, session) for http in https for session in (*tree, *grown)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            decisions = list(pool.map(lambda pair: decide(*pair), everyone))
        assert {decision["decision"] for decision in decisions} == {"deny"}
        stopped = [one for one in decisions if one["reason"] == "the session was revoked: stop"]
        assert {decision["deny_code"] for decision in stopped} == {"SESSION_EXPIRED"}
        assert len(stopped) > 0.9 * len(decisions)  # all, where the machine is not too busy
        for http in https:
            assert decide(http, bystander)["decision"] == "allow"
    with capsys.disabled():
        print(
            f"\na tree of {len(tree) + len(grown)} sessions ended in {answered - began:.3f} s, "
            f"under {len(sooner)} calls; {len(later)} calls after it were all denied"
        )
