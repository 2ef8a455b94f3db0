"""Activations and rollbacks through it all, between bundles whose verdicts differ."""

import hashlib
import itertools
import math
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

from scopebound_engine.bundle.trust.keys import SigningKey
from tests.bundles import make_bundle, server_key
from tests.rig.history import Change
from tests.rig.nodes import Cluster
from tests.rig.oracle import FLAVORS
from tests.servers import API_KEY, PLAIN

PAUSE, TOLD_SECONDS = (1.5, 5.0), 60.0
ACTIVATIONS = {"bundle.activated", "bundle.rolled_back"}


class Changer:
    """Puts another flavor in force every few seconds, while the block lasts.

    Whatever becomes of an attempt, `changes` has every generation that was ever in force, each with
    the moments between which it came to be so.
    """

    def __init__(self, cluster: Cluster, data_dir: Path, rng: random.Random) -> None:
        self._cluster, self._rng = cluster, rng
        self._key: SigningKey = server_key(data_dir)
        self._patches = itertools.count(1)
        self._flavors: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._begun: dict[str, float] = {}
        self._stopping, self._hurry = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
        self.changes: list[Change] = []
        self.attempts = self.lost = 0

    def __enter__(self) -> Self:
        active = self._active()
        self._flavors[active["checksum"]] = "lenient"
        self.changes.append(
            Change(active["generation"], "lenient", active["checksum"], 0.0, time.monotonic())
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._hurry.set()
        self._thread.join()
        self._look(math.inf)

    def hurry(self) -> None:
        """Let the next change begin now."""
        self._hurry.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._hurry.wait(self._rng.uniform(*PAUSE))
            self._hurry.clear()
            if not self._stopping.is_set():
                self._attempt()

    def _attempt(self) -> None:
        """Change to the other flavor: by an upload, or back to a bundle that has it."""
        flavor = next(each for each in FLAVORS if each != self.changes[-1].flavor)
        if flavor in self._ids and self._rng.random() < 0.5:
            path, data = f"rollback/{self._ids[flavor]}", b""
            checksum = next(c.checksum for c in reversed(self.changes) if c.flavor == flavor)
        else:
            data = make_bundle(self._key, f"1.0.{next(self._patches)}", denies=FLAVORS[flavor])
            path, checksum = "upload", hashlib.sha256(data).hexdigest()
        self._flavors[checksum] = flavor
        self.attempts += 1
        begun = time.monotonic()
        self._begun.setdefault(checksum, begun)
        answer, status = dict[str, Any](), 0
        with suppress(httpx.TransportError), self._client(40) as http:
            response = http.post(f"/mgmt/v1/bundles/{path}", content=data)
            answer, status = response.json(), response.status_code
        if status == 200:
            self._ids[flavor] = answer.get("id") or answer["version_id"]
            self._look(time.monotonic())
            self._begun.pop(checksum, None)
        else:
            self.lost += 1
            self._look(math.inf)

    def _look(self, known: float) -> None:
        """Keep the generations that came since the last look, the newest being known since then."""
        events = self._events()
        ended, last = min(known, time.monotonic()), self.changes[-1].generation
        came = sorted(
            (event["generation"], event["checksum"])
            for event in events
            if event["kind"] in ACTIVATIONS and event["generation"] > last
        )
        for generation, checksum in came:
            flavor, begun = self._flavors[checksum], self._begun.get(checksum, 0.0)
            self.changes.append(Change(generation, flavor, checksum, begun, ended))

    def _events(self) -> list[dict[str, Any]]:
        """What happened to bundles, as soon as anybody tells."""
        deadline = time.monotonic() + TOLD_SECONDS
        while True:
            try:
                with self._client(5) as http:
                    asked = http.get("/mgmt/v1/bundles/events", params={"limit": 100})
                    found: list[dict[str, Any]] = asked.raise_for_status().json()["events"]
                    return found
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _active(self) -> dict[str, Any]:
        with self._client(5) as http:
            kept = http.get("/mgmt/v1/bundles").raise_for_status().json()["versions"]
        found: dict[str, Any] = next(each for each in kept if each["is_active"])
        return found

    def _client(self, timeout: float) -> httpx.Client:
        headers = {"X-Scopebound-API-Key": API_KEY}
        url = self._rng.choice(self._cluster.urls)
        return httpx.Client(base_url=url, headers=headers, timeout=timeout, **PLAIN)
