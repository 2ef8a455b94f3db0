"""A stored bundle is kept byte for byte, and the version activated last is in force."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scopebound_engine.bundle.registry.registry import BundleVersion, Registry
from scopebound_engine.errors import Finding, NotFoundError
from tests.bundle.bundle_samples import KEY
from tests.bundle.registry_samples import ALICE, BOB, NOON, activate, bundle, store


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
    assert registry.get(version.id).activated_at is None


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
    assert registry.get(first.id).activated_at is not None


@pytest.mark.parametrize("gone", [False, True], ids=["never there", "removed"])
def test_a_bundle_that_is_not_kept_is_not_found(registry: Registry, gone: bool) -> None:
    bundle_id = registry.remove(store(registry).id, actor=ALICE).id if gone else "nowhere"
    for attempt in (
        lambda: registry.get(bundle_id),
        lambda: registry.data(bundle_id),
        lambda: registry.activate(bundle_id, actor=ALICE),
        lambda: registry.activate(bundle_id, actor=ALICE, kind="bundle.rolled_back"),
        lambda: registry.remove(bundle_id, actor=ALICE),
    ):
        with pytest.raises(NotFoundError, match=f"no bundle with the id {bundle_id}"):
            attempt()


def test_with_if_none_the_bundle_in_force_stays(registry: Registry) -> None:
    first = registry.activate(store(registry, "1.0.0").id, actor=ALICE, if_none=True)
    second = registry.activate(store(registry, "1.1.0").id, actor=ALICE, if_none=True)
    assert second == first == registry.active()


def test_what_is_in_force_already_gets_no_new_generation(registry: Registry) -> None:
    first = activate(registry)
    assert registry.activate(first.id.upper(), actor=ALICE) == first
    assert registry.activate(first.id, actor=ALICE, kind="bundle.rolled_back") == first
    assert len(registry.events()) == 2


def test_a_rollback_puts_an_older_version_in_force_as_a_new_generation(registry: Registry) -> None:
    first, second = activate(registry, "1.0.0"), activate(registry, "1.1.0")
    again = registry.activate(
        first.id, actor=BOB, kind="bundle.rolled_back", reason="denies all mail"
    )
    assert again == replace(
        first, generation=registry.generation(), activated_at=again.activated_at
    )
    assert registry.generation() > (second.generation or 0)
    assert registry.active() == again
    assert registry.highest_activated() == registry.get(second.id)
