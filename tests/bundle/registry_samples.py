"""Bundles in a registry, as the tests of the registry put them there."""

import json

from scopebound_engine.bundle.registry.registry import Actor, BundleVersion, Registry
from scopebound_engine.bundle.signature import VerifiedBundle, verify
from tests.bundle.bundle_samples import KEY, files, manifest, signed, trust

NOON = 1_777_483_420.5  # 2026-04-29 17:23:40.5 UTC
ALICE = Actor("alice", "8ddcf3ca-1281-4668-9333-f067b989337f")
BOB = Actor("bob")


def bundle(version: str = "1.0.0", rule: str = "") -> tuple[bytes, VerifiedBundle]:
    text = json.dumps(manifest(version=version)).encode()
    source = f"package scopebound\n{rule}\n".encode()
    data = signed(KEY, files(**{"manifest.json": text, "scopebound/main.rego": source}))
    return data, verify(data, trust(KEY))


def store(
    registry: Registry, version: str = "1.0.0", rule: str = "", actor: Actor = ALICE
) -> BundleVersion:
    return registry.store(*bundle(version, rule), description="", actor=actor)


def activate(registry: Registry, version: str = "1.0.0", rule: str = "") -> BundleVersion:
    return registry.activate(store(registry, version, rule).id, actor=ALICE)
