import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from bundle_samples import KEY, files, manifest, signed, trust
from sqlalchemy import Engine

from scopebound_engine.bundle.registry import Registry
from scopebound_engine.bundle.signature import VerifiedBundle, verify

NOON = 1_777_483_420.5  # 2026-04-29 17:23:40.5 UTC


def bundle(version: str = "1.0.0") -> tuple[bytes, VerifiedBundle]:
    text = json.dumps(manifest(version=version)).encode()
    data = signed(KEY, files(**{"manifest.json": text}))
    return data, verify(data, trust(KEY))


@pytest.fixture
def registry(database: Engine) -> Registry:
    return Registry(database, lambda: NOON)


def test_before_the_first_activation_there_is_nothing(registry: Registry) -> None:
    assert not registry.ever_activated()
    assert registry.active() is None


def test_an_activated_bundle_is_in_force_byte_for_byte(registry: Registry) -> None:
    data, verified = bundle()
    version = registry.activate(data, verified, description="baseline", actor="first start")
    assert registry.ever_activated()
    assert registry.active() == (version, data)
    assert (version.name, version.version) == ("sample", "1.0.0")
    assert version.checksum == hashlib.sha256(data).hexdigest()
    assert version.identity == verified.identity
    assert version.bundle_path == "bundle-history/bundle-20260429-172340.tar.gz"
    assert (version.description, version.actor) == ("baseline", "first start")
    assert version.uploaded_at == version.activated_at == datetime.fromtimestamp(NOON, UTC)


def test_the_highest_generation_is_in_force(registry: Registry) -> None:
    first = registry.activate(*bundle("1.0.0"), description="", actor="a")
    second = registry.activate(*bundle("1.1.0"), description="", actor="a")
    assert second.generation > first.generation
    assert second.bundle_path == "bundle-history/bundle-20260429-172341.tar.gz"
    active = registry.active()
    assert active is not None
    assert active[0] == second


def test_bytes_that_are_stored_already_get_a_new_generation(registry: Registry) -> None:
    data, verified = bundle("1.0.0")
    first = registry.activate(data, verified, description="first", actor="a")
    second = registry.activate(*bundle("1.1.0"), description="second", actor="a")
    again = registry.activate(data, verified, description="ignored", actor="b")
    assert again == replace(first, generation=again.generation, actor="b")
    assert again.generation > second.generation


def test_with_if_none_the_bundle_in_force_stays(registry: Registry) -> None:
    first = registry.activate(*bundle("1.0.0"), description="", actor="a", if_none=True)
    second = registry.activate(*bundle("1.1.0"), description="", actor="b", if_none=True)
    assert second == first
