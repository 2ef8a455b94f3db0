import hashlib
import json
from datetime import UTC, datetime

import pytest
from bundle_samples import KEY, files, manifest, signed, trust
from sqlalchemy import Engine

from scopebound_engine.bundle.registry import Actor, BundleVersion, Registry
from scopebound_engine.bundle.signature import VerifiedBundle, verify
from scopebound_engine.errors import Finding, NotFoundError

NOON = 1_777_483_420.5  # 2026-04-29 17:23:40.5 UTC
ALICE = Actor("alice", "8ddcf3ca-1281-4668-9333-f067b989337f")


def bundle(version: str = "1.0.0", rule: str = "") -> tuple[bytes, VerifiedBundle]:
    text = json.dumps(manifest(version=version)).encode()
    source = f"package scopebound\n{rule}\n".encode()
    data = signed(KEY, files(**{"manifest.json": text, "scopebound/main.rego": source}))
    return data, verify(data, trust(KEY))


@pytest.fixture
def registry(database: Engine) -> Registry:
    return Registry(database, lambda: NOON)


def store(registry: Registry, version: str = "1.0.0", rule: str = "") -> BundleVersion:
    return registry.store(*bundle(version, rule), description="", actor=ALICE)


def activate(registry: Registry, version: str = "1.0.0", rule: str = "") -> BundleVersion:
    return registry.activate(store(registry, version, rule).id, actor=ALICE)


def test_before_the_first_activation_there_is_nothing(registry: Registry) -> None:
    assert registry.generation() == 0
    assert registry.active() is None
    assert registry.highest_activated() is None
    assert registry.versions() == []
    assert registry.events() == []


def test_a_stored_bundle_is_kept_byte_for_byte_and_not_in_force(registry: Registry) -> None:
    data, verified = bundle()
    warning = Finding("costs", "160 rules", file="main.rego", line=3, level="warning")
    version = registry.store(
        data, verified, description="baseline", actor=ALICE, warnings=[warning]
    )
    assert version == BundleVersion(
        id=version.id,
        name="sample",
        version="1.0.0",
        checksum=hashlib.sha256(data).hexdigest(),
        identity=verified.identity,
        key_id=KEY.key_id,
        bundle_path="bundle-history/bundle-20260429-172340.tar.gz",
        description="baseline",
        uploaded_at=datetime.fromtimestamp(NOON, UTC),
        uploaded_by="alice",
        warnings=(warning,),
        activated_at=None,
        generation=None,
    )
    assert not version.is_active
    assert registry.data(version.id) == data
    assert registry.versions() == [version] == [registry.get(version.id.upper())]
    assert registry.find(verified.identity) == registry.find(verified.checksum) == version
    assert registry.generation() == 0
    assert not registry.was_activated(version.id)


def test_the_version_activated_last_is_in_force(registry: Registry) -> None:
    first = activate(registry, "1.0.0")
    second = activate(registry, "1.1.0")
    assert registry.active() == second
    assert registry.generation() == second.generation
    assert second.generation is not None
    assert first.generation is not None
    assert second.generation > first.generation
    assert second.bundle_path == "bundle-history/bundle-20260429-172341.tar.gz"
    former = registry.get(first.id)
    assert (former.generation, former.activated_at) == (None, first.activated_at)
    assert registry.was_activated(first.id)


def test_a_bundle_that_is_not_kept_is_not_found(registry: Registry) -> None:
    for attempt in (
        lambda: registry.get("nowhere"),
        lambda: registry.data("nowhere"),
        lambda: registry.activate("nowhere", actor=ALICE),
        lambda: registry.remove("nowhere", actor=ALICE),
    ):
        with pytest.raises(NotFoundError, match="no bundle with the id nowhere"):
            attempt()


def test_with_if_none_the_bundle_in_force_stays(registry: Registry) -> None:
    first = registry.activate(store(registry, "1.0.0").id, actor=ALICE, if_none=True)
    second = registry.activate(store(registry, "1.1.0").id, actor=ALICE, if_none=True)
    assert second == first == registry.active()


def test_what_is_in_force_already_gets_no_new_generation(registry: Registry) -> None:
    first = activate(registry)
    assert registry.activate(first.id.upper(), actor=ALICE) == first
    assert len(registry.events()) == 2
