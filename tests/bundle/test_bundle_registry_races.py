"""Changes that come all at once have one order, and one that fails leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from scopebound_engine.bundle.registry.registry import RETAINED, BundleVersion, Registry
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.database.engine import open_database
from scopebound_engine.errors import NotFoundError
from tests.bundle.registry_samples import ALICE, NOON, bundle, store


def test_uploads_and_activations_at_once_have_one_order(
    database: Engine, database_url: str | None, tmp_path: Path
) -> None:
    other = open_database(database_url, tmp_path)  # another process
    registries = [Registry(engine, lambda: NOON) for engine in (database, other)]
    uploads = [bundle("1.0.0", f"x := {index}") for index in range(20)]

    def upload(index: int) -> int | None:
        registry = registries[index % 2]
        version = registry.store(*uploads[index], description="", actor=ALICE)
        try:
            return registry.activate(version.id, actor=ALICE).generation
        except NotFoundError:  # pruned by the uploads after it
            return None

    with ThreadPoolExecutor(20) as threads:
        generations = list(threads.map(upload, range(20)))
    other.dispose()

    registry = registries[0]
    activated = [event for event in reversed(registry.events()) if event.kind == "bundle.activated"]
    reached = [event.generation or 0 for event in activated]
    assert reached == sorted(set(reached)) == sorted(filter(None, generations))
    assert [event.from_generation for event in activated] == [None, *reached[:-1]]
    assert registry.generation() == reached[-1] >= RETAINED
    kept = registry.versions()
    assert len(kept) == RETAINED
    assert [version.id for version in kept if version.is_active] == [activated[-1].bundle_id]
    assert len({version.bundle_path for version in kept}) == RETAINED


def test_one_bundle_uploaded_at_once_is_one_version(registry: Registry) -> None:
    uploads = [bundle() for _ in range(20)]

    def upload(each: tuple[bytes, VerifiedBundle]) -> BundleVersion:
        version = registry.store(*each, description="", actor=ALICE)
        return registry.activate(version.id, actor=ALICE)

    with ThreadPoolExecutor(20) as threads:
        (version,) = set(threads.map(upload, uploads))
    assert registry.versions() == [version] == [registry.active()]
    assert len(registry.events()) == 2


def test_a_change_that_fails_half_way_leaves_nothing_behind(database: Engine) -> None:
    ids = iter(["same", "same"])
    registry = Registry(database, lambda: NOON, lambda: next(ids))
    store(registry, "1.0.0")
    with pytest.raises(IntegrityError):
        store(registry, "1.1.0")
    assert [version.version for version in registry.versions()] == ["1.0.0"]
    assert len(registry.events()) == 1
