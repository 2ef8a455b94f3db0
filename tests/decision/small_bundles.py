"""Small bundles that compile at once, and workers that follow which of them is in force."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.registry.registry import Actor, BundleVersion, Registry
from scopebound_engine.bundle.signature import SIGNATURES, VerifiedBundle, sign, verify
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.decision.active import ActiveBundle, Loaded
from scopebound_engine.decision.follower import Follower
from tests.bundle.bundle_samples import trust

KEY = SigningKey.generate("es256")
ME = Actor("me")
# Three nested loops over the caller's list.
SLOW = {"slow": list(range(40))}

_RULES = """
package scopebound
import rego.v1

steps := count([1 | some a in input.slow; some b in input.slow; some c in input.slow; a == b])
decision := {"allow": false, "violations": [
    {"code": "DENIED", "severity": "low", "reason": "VERSION", "retry_guidance": "none"}]
} if steps >= 0
"""


def packed(version: str, rules: str = _RULES, key: SigningKey = KEY) -> bytes:
    """A signed bundle whose every verdict is a denial for the reason of its version."""
    manifest = {
        "name": "small",
        "version": version,
        "entrypoint": "scopebound/decision",
        "deny_codes": [{"code": "DENIED", "severity": "low", "description": "denied"}],
    }
    files = {
        "scopebound/main.rego": rules.replace("VERSION", version).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    return archive.write({**files, SIGNATURES: sign(files, key)})


def verified(data: bytes, key: SigningKey = KEY) -> VerifiedBundle:
    """What these bytes are."""
    return verify(data, trust(key))


def reason(loaded: Loaded | None, **facts: Any) -> str:
    """What a bundle denies for: its version."""
    assert loaded is not None
    return loaded.pool.evaluate(facts, time.monotonic() + 5).violations[0].reason


def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something holds; fail when it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Node:
    """A worker of a node, its data folder, and the database it shares with others."""

    def __init__(self, database: Engine, data_dir: Path, node_id: str = "node-1") -> None:
        self.registry, self.fleet = Registry(database, time.time), Fleet(database)
        self.data_dir, self.keys = data_dir, data_dir / "trusted"
        self.keys.mkdir(parents=True, exist_ok=True)
        (self.keys / "key.pem").write_text(KEY.public_pem())
        self.active = ActiveBundle(evaluators=1, evaluation_seconds=0.25)
        self.follower = Follower(
            self.active,
            self.registry,
            self.fleet,
            History(data_dir),
            lambda: TrustedKeys.read(self.keys),
            node_id=node_id,
        )

    def store(self, data: bytes, key: SigningKey = KEY) -> BundleVersion:
        """Store a bundle, whatever the node thinks of it."""
        return self.registry.store(data, verified(data, key), description="", actor=ME)

    def activate(self, version: BundleVersion) -> BundleVersion:
        """The commit, without a proposal."""
        return self.registry.activate(version.id, actor=ME, kind="bundle.rolled_back")

    def at_least(self, generation: int, seconds: float = 5.0) -> Loaded:
        return self.follower.at_least(generation, time.monotonic() + seconds)

    def reported(self) -> WorkerReport:
        """What the fleet knows of this worker."""
        own = self.follower.report().worker_id
        [report] = [one for one in self.fleet.workers() if one.worker_id == own]
        return report

    def revoke(self, why: str = "stolen") -> None:
        (self.keys / "key.toml").write_text(f'revoked = true\nreason = "{why}"\n')

    def close(self) -> None:
        self.follower.close()
        self.active.close()
