"""What an upload would be: new, the same again, a retry, or a step back that is refused."""

import pytest

from scopebound_engine.bundle.registry.registry import Registry
from scopebound_engine.errors import ConflictError
from tests.bundle.registry_samples import ALICE, BOB, activate, bundle, store


def test_a_bundle_that_is_not_kept_is_new(registry: Registry) -> None:
    assert registry.admit(bundle()[1]) == "new"
    activate(registry, "1.0.0")
    assert registry.admit(bundle("1.0.0", "x := 1")[1]) == "new"  # an equal version is not lower
    assert registry.admit(bundle("1.0.1")[1]) == "new"


def test_the_bundle_in_force_again_is_unchanged_however_it_is_packed(registry: Registry) -> None:
    active = activate(registry)
    data, verified = bundle()
    assert verified.checksum != active.checksum  # an ES256 signature is never the same twice
    assert registry.admit(verified) == "unchanged"
    assert registry.store(data, verified, description="again", actor=BOB) == active
    assert registry.versions() == [active]


def test_after_a_rollback_the_bundle_in_force_again_is_unchanged(registry: Registry) -> None:
    first, _ = activate(registry, "1.0.0"), activate(registry, "1.1.0")
    active = registry.activate(first.id, actor=BOB, kind="bundle.rolled_back")
    assert registry.admit(bundle("1.0.0")[1]) == "unchanged"
    assert store(registry, "1.0.0") == active


def test_a_bundle_that_was_never_activated_is_found_again(registry: Registry) -> None:
    first = store(registry)
    assert registry.admit(bundle()[1]) == "retry"
    assert store(registry) == first
    assert registry.versions() == [first]
    assert [event.kind for event in registry.events()] == ["bundle.uploaded"]


def test_a_bundle_that_was_in_force_comes_back_by_rollback_only(registry: Registry) -> None:
    first, _ = activate(registry, "1.0.0"), activate(registry, "1.0.0", "x := 1")
    for attempt in (lambda: registry.admit(bundle()[1]), lambda: store(registry)):
        with pytest.raises(ConflictError, match=f"kept as {first.id} .* in force before") as error:
            attempt()
        (finding,) = error.value.findings
        assert finding.step == "version"
        assert finding.level == "error"
        assert finding.remedy.endswith(f"POST /mgmt/v1/bundles/rollback/{first.id}")
        assert finding.remedy in str(error.value)


@pytest.mark.parametrize("lower", ["1.9.0", "1.10.0-rc.1", "0.99.99"])
def test_a_version_lower_than_any_that_was_in_force_is_a_conflict(
    registry: Registry, lower: str
) -> None:
    first, highest = activate(registry, "1.2.0"), activate(registry, "1.10.0")
    registry.activate(first.id, actor=BOB, kind="bundle.rolled_back")
    for attempt in (lambda: registry.admit(bundle(lower)[1]), lambda: store(registry, lower)):
        with pytest.raises(
            ConflictError, match=rf"version {lower} is lower than 1\.10\.0.*{highest.id}"
        ) as error:
            attempt()
        (finding,) = error.value.findings
        assert finding.step == "version"
        assert "1.10.0 or higher" in finding.remedy
        assert "POST /mgmt/v1/bundles/rollback/{id}" in finding.remedy
    assert len(registry.versions()) == 2


def test_where_its_version_was_in_force_the_hint_names_the_way_back(registry: Registry) -> None:
    first, _ = activate(registry, "1.0.0"), activate(registry, "1.1.0")
    with pytest.raises(ConflictError, match=f"POST /mgmt/v1/bundles/rollback/{first.id}"):
        registry.admit(bundle("1.0.0", "x := 1")[1])


def test_the_hint_names_no_version_that_was_never_in_force(registry: Registry) -> None:
    stored, _ = store(registry, "1.0.0"), activate(registry, "1.1.0")
    with pytest.raises(ConflictError, match=r"rollback/\{id\}") as error:
        registry.admit(bundle("1.0.0", "x := 1")[1])
    assert stored.id not in str(error.value)


def test_a_version_that_was_only_stored_makes_none_lower(registry: Registry) -> None:
    store(registry, "9.0.0")
    assert registry.admit(bundle("1.0.0")[1]) == "new"


def test_a_stored_version_that_others_overtook_cannot_be_activated(registry: Registry) -> None:
    overtaken = store(registry, "1.0.0")
    active = activate(registry, "1.1.0")
    with pytest.raises(ConflictError, match=r"version 1\.0\.0 is lower than 1\.1\.0"):
        registry.activate(overtaken.id, actor=ALICE)
    with pytest.raises(ConflictError, match=r"version 1\.0\.0 is lower than 1\.1\.0"):
        registry.admit(bundle("1.0.0")[1])
    assert registry.active() == active
    assert registry.activate(overtaken.id, actor=ALICE, kind="bundle.rolled_back").is_active


def test_a_removed_version_still_counts_among_those_that_were_in_force(registry: Registry) -> None:
    first, second = activate(registry, "1.0.0"), activate(registry, "2.0.0")
    registry.activate(first.id, actor=BOB, kind="bundle.rolled_back")
    registry.remove(second.id, actor=BOB)
    highest = registry.highest_activated()
    assert highest is not None
    assert highest.id == second.id
    with pytest.raises(ConflictError, match=r"lower than 2\.0\.0"):
        registry.admit(bundle("1.5.0")[1])


def test_of_equal_versions_the_last_one_in_force_is_the_highest(registry: Registry) -> None:
    activate(registry, "1.0.0+first")
    second = activate(registry, "1.0.0+second")
    assert registry.highest_activated() == second
