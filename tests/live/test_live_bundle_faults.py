"""Whatever is killed in the middle of a change, one bundle is in force: the old or the new one.

While a bundle is uploaded, activated or rolled back to, a worker, an evaluator, the gunicorn
master, the whole node or PostgreSQL is killed with -9. SCOPEBOUND_TEST_FAULTS=200 makes it long,
SCOPEBOUND_TEST_SEED repeats one.
"""

import hashlib
import itertools
import os
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from scopebound_engine.bundle.signature import verify
from scopebound_engine.bundle.trust.keys import TrustedKeys
from tests.bundles import MARKED, make_bundle, server_key
from tests.servers import API_KEY, PLAIN, RunningServer
from tests.victims import Node

ROUNDS = int(os.environ.get("SCOPEBOUND_TEST_FAULTS", "18"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
ACTIVATIONS = {"bundle.activated", "bundle.rolled_back"}


@dataclass
class Attempt:
    """A change that was tried: `status` 0 means that nobody knows what became of it."""

    kind: str
    path: str
    data: bytes
    checksum: str
    status: int = 0
    seconds: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)

    def run(self, server: RunningServer) -> None:
        begun = time.monotonic()
        with server.client(40) as http, suppress(httpx.TransportError):
            response = http.post(f"/mgmt/v1/bundles/{self.path}", content=self.data)
            self.status, self.answer = response.status_code, response.json()
        self.seconds = time.monotonic() - begun


class Campaign:
    """Makes changes, and knows what must be true whatever came of them."""

    def __init__(self, node: Node, rng: random.Random) -> None:
        self.node, self.rng = node, rng
        self._key = server_key(node.data_dir)
        self._trusted = TrustedKeys.read(node.data_dir / "bundle-keys/trusted")
        self._patches = itertools.count(1)
        self._denies: dict[str, bool] = {}
        self._acknowledged: dict[int, str] = {}
        self._stored: set[str] = set()
        self.former = ""
        self._jwt = self._provision()

    def next(self, kind: str) -> Attempt:
        """A change to another bundle than that in force; `self.former` is the checksum of that."""
        with self.node.server.client() as http:
            kept = http.get("/mgmt/v1/bundles").json()["versions"]
            self.former = next(v["checksum"] for v in kept if v["is_active"])
            former = [
                v
                for v in kept
                if v["activated_at"] and not v["is_active"] and v["checksum"] in self._denies
            ]
            if kind == "rollback" and former:
                to = self.rng.choice(former)
                return Attempt(kind, f"rollback/{to['id']}", b"", to["checksum"])
            denies = self.rng.random() < 0.5
            data = make_bundle(self._key, f"1.0.{next(self._patches)}", denies=denies)
            checksum = hashlib.sha256(data).hexdigest()
            self._denies[checksum] = denies
            if kind == "activate":
                query = {"activate": "false"}
                stored = http.post("/mgmt/v1/bundles/upload", content=data, params=query).json()
                self._stored.add(stored["checksum"])
                return Attempt(kind, f"{stored['id']}/activate", b"", checksum)
            return Attempt("upload", "upload", data, checksum)

    def check(self, attempt: Attempt) -> str:
        """`old` or `new`: which is in force, everywhere and whole."""
        with self.node.server.client() as http:
            kept = http.get("/mgmt/v1/bundles").json()["versions"]
            (active,) = [version for version in kept if version["is_active"]]
            assert active["checksum"] in {self.former, attempt.checksum}
            if attempt.status == 200:
                assert active["checksum"] == attempt.checksum
                self._acknowledged[attempt.answer["generation"]] = attempt.checksum
                self._stored.add(attempt.checksum)
            data = http.get(f"/mgmt/v1/bundles/{active['id']}/download").content
            happened = http.get("/mgmt/v1/bundles/events", params={"limit": 1000}).json()["events"]
        assert verify(data, self._trusted).checksum == active["checksum"]
        assert (self.node.data_dir / active["bundle_path"]).read_bytes() == data
        changes = [(e["generation"], e["checksum"]) for e in happened if e["kind"] in ACTIVATIONS]
        generations = [generation for generation, _ in changes]
        assert generations == sorted(set(generations), reverse=True)
        assert self._acknowledged.items() <= dict(changes).items()
        assert active["generation"] == generations[0]
        pruned = {e["checksum"] for e in happened if e["kind"] == "bundle.pruned"}
        assert self._stored <= pruned | {version["checksum"] for version in kept}
        for decision in self._decisions():
            assert decision["bundle_generation"] == active["generation"], decision
            assert decision["bundle_checksum"] == active["checksum"]
            denied = self._denies.get(active["checksum"], False)
            assert (decision["decision"] == "deny") == denied, decision
        return "new" if active["checksum"] == attempt.checksum else "old"

    def _provision(self) -> str:
        with self.node.server.client() as http:
            http.post("/mgmt/v1/roles", json={"name": "caller", "allowed_tools": [MARKED]})
            return str(http.post("/v1/provision", json={"role_id": "caller"}).json()["jwt"])

    def _decisions(self) -> Iterator[dict[str, Any]]:
        """Over new connections, so that both workers are asked."""
        body = {"jwt": self._jwt, "tool_name": MARKED, "call_args": {}}
        headers = {"X-Scopebound-API-Key": API_KEY}
        for _ in range(6):
            url = f"{self.node.server.url}/v1/enforce"
            yield httpx.post(url, json=body, headers=headers, **PLAIN).json()


@pytest.fixture(params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    on_sqlite = request.param == "sqlite"
    made = Node(tmp_path / "data", None if on_sqlite else request.getfixturevalue("own_postgres"))
    made.start()
    yield made
    made.stop()


def usual_seconds(campaign: Campaign) -> dict[str, float]:
    """How long each kind of change takes when nobody is killed."""
    found = {}
    for kind in ("upload", "activate", "rollback"):
        attempt = campaign.next(kind)
        attempt.run(campaign.node.server)
        found[attempt.kind] = attempt.seconds
        assert attempt.status == 200, attempt.answer
        assert campaign.check(attempt) == "new"
    return found


def test_after_any_kill_the_old_or_the_new_bundle_is_in_force_and_nothing_acknowledged_is_lost(
    node: Node,
) -> None:
    rng = random.Random(SEED)
    print(f"\nSCOPEBOUND_TEST_SEED={SEED}")
    campaign = Campaign(node, rng)
    usual = usual_seconds(campaign)
    victims = node.victims()
    seen: Counter[str] = Counter()
    for number in range(ROUNDS // 3 if node.postgres is None else ROUNDS - ROUNDS // 3):
        kind = rng.choice(list(usual))
        victim = list(victims)[number % len(victims)]
        delay = rng.uniform(0, usual[kind])
        attempt = campaign.next(kind)
        line = f"seed {SEED}, round {number}: {victim} killed {delay:.3f} s into {attempt.kind}"
        changing = threading.Thread(target=attempt.run, args=[node.server])
        changing.start()
        time.sleep(delay)
        victims[victim](rng)
        changing.join(60)
        if attempt.status == 200:
            usual[attempt.kind] = min(usual[attempt.kind], attempt.seconds)
        try:
            assert not changing.is_alive()
            # A gate whose child was killed has a finding.
            assert attempt.status in {0, 200, 503} | ({422} if victim == "evaluator" else set())
            node.wait_until_recovered()
            outcome = f"{attempt.status or 'lost'}, {campaign.check(attempt)}"
        except AssertionError as error:
            raise AssertionError(f"{line}: status {attempt.status}, {attempt.answer}") from error
        print(f"{line}: {outcome}")
        seen[f"{victim}: {outcome}"] += 1
    for what, times in sorted(seen.items()):
        print(f"{times:4} {what}")
