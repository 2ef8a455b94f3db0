"""What is kept and what goes, so that no number of uploads takes the way back."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select

from scopebound_engine.bundle.registry.registry import RETAINED, BundleVersion, Registry
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import bundle_uses, bundles
from scopebound_engine.errors import ConflictError, ForbiddenError, NotFoundError
from scopebound_engine.times import moment
from tests.bundle.registry_samples import ALICE, BOB, NOON, activate, bundle, store


def ids(versions: Iterable[BundleVersion]) -> list[str]:
    return [version.id for version in versions]


def test_ten_versions_are_kept_newest_first(registry: Registry) -> None:
    made = [activate(registry, f"1.{minor}.0") for minor in range(RETAINED + 3)]
    kept = registry.versions()
    assert [version.id for version in kept] == [version.id for version in reversed(made[3:])]
    pruned = [event for event in registry.events() if event.kind == "bundle.pruned"]
    assert [event.bundle_id for event in pruned] == [version.id for version in reversed(made[:3])]
    assert all(event.actor == "alice" for event in pruned)
    for version in made[:3]:
        with pytest.raises(NotFoundError):
            registry.data(version.id)


def test_the_version_in_force_is_kept_though_it_is_the_eldest(registry: Registry) -> None:
    active = activate(registry, "1.0.0")
    stored = [store(registry, f"1.{minor}.0") for minor in range(1, RETAINED + 3)]
    kept = registry.versions()
    assert len(kept) == RETAINED
    assert kept == [*reversed(stored[3:]), active]
    assert registry.data(active.id)


def test_versions_that_were_never_in_force_go_before_those_that_were(registry: Registry) -> None:
    former = [activate(registry, f"1.{minor}.0") for minor in range(5)]
    stored = [store(registry, f"2.{minor}.0") for minor in range(RETAINED + 2)]
    assert ids(registry.versions()) == ids([*reversed(stored[-5:]), *reversed(former)])


def test_no_number_of_uploads_takes_the_way_back(registry: Registry, database: Engine) -> None:
    first, *_ = [activate(registry, f"1.{minor}.0") for minor in range(RETAINED)]
    later = Registry(database, lambda: NOON + 60)
    in_force = later.activate(first.id, actor=ALICE, kind="bundle.rolled_back")
    for number in range(RETAINED + 2):
        newest = store(registry, f"2.{number}.0")
    # The one that was rolled back from, and of the others those that were in force last.
    kept = [activated.version for activated in registry.versions()]
    assert kept == [newest.version, *(f"1.{minor}.0" for minor in range(9, 1, -1)), "1.0.0"]
    assert registry.active() == registry.get(in_force.id)


def test_of_those_that_were_in_force_the_eldest_activation_goes_first(database: Engine) -> None:
    now = NOON
    registry = Registry(database, lambda: now)
    made = [activate(registry, f"1.{minor}.0") for minor in range(RETAINED)]
    for version in (made[0], made[-1]):
        now += 60
        registry.activate(version.id, actor=ALICE, kind="bundle.rolled_back")
    store(registry, "2.0.0")
    gone = {version.id for version in made} - set(ids(registry.versions()))
    assert gone == {made[1].id}


def test_the_way_back_is_removed_by_those_only_who_may_take_it(registry: Registry) -> None:
    eldest, former, _ = [activate(registry, f"1.{minor}.0") for minor in range(3)]
    with pytest.raises(ForbiddenError, match=rf"{former.id} .* is the way back .* rollback"):
        registry.remove(former.id, actor=BOB, may_take_way_back=False)
    registry.remove(former.id, actor=ALICE)
    # Then the one before it leads back.
    with pytest.raises(ForbiddenError, match=eldest.id):
        registry.remove(eldest.id, actor=BOB, may_take_way_back=False)
    unused = store(registry, "2.0.0")
    registry.remove(unused.id, actor=BOB, may_take_way_back=False)
    assert eldest.id in ids(registry.versions())


def test_uploads_keep_their_order_where_clocks_differ(database: Engine) -> None:
    ahead, behind = Registry(database, lambda: NOON + 60), Registry(database, lambda: NOON)
    stored = [store(ahead, f"1.{minor}.0") for minor in range(RETAINED)]
    newest = store(behind, "2.0.0")
    assert newest.uploaded_at > stored[-1].uploaded_at
    assert behind.versions() == [newest, *reversed(stored[1:])]


def test_what_was_in_force_and_was_removed_does_not_come_again(registry: Registry) -> None:
    first, _ = activate(registry, "1.0.0"), activate(registry, "1.0.0", "x := 1")
    assert registry.remove(first.id.upper(), actor=BOB) == replace(first, generation=None)
    assert registry.find(first.identity) is None
    assert registry.find(first.checksum) is None
    assert [version.id for version in registry.versions()] != [first.id]
    with pytest.raises(ConflictError, match="was in force before and has been removed since"):
        registry.admit(bundle("1.0.0")[1])
    assert registry.events(bundle_id=first.id)[0].kind == "bundle.deleted"


def test_what_was_removed_and_never_in_force_may_come_again(registry: Registry) -> None:
    activate(registry, "1.0.0", "x := 1")
    first = store(registry, "1.0.0")
    registry.remove(first.id, actor=BOB)
    assert registry.admit(bundle("1.0.0")[1]) == "new"
    again = activate(registry, "1.0.0")
    assert again.identity == first.identity
    assert again.id != first.id
    assert again.bundle_path != first.bundle_path


def test_a_removed_version_keeps_its_row_and_no_bytes(registry: Registry, database: Engine) -> None:
    version = registry.remove(store(registry).id, actor=ALICE)
    with reading(database) as connection:
        (row,) = connection.execute(select(bundles)).all()
    assert (row.id, row.bytes) == (version.id, None)
    assert row.removed_at == datetime.fromtimestamp(NOON, UTC)


def use(database: Engine, checksum: str, at: float) -> None:
    with transaction(database) as connection:
        connection.execute(
            bundle_uses.insert().values(checksum=checksum, last_us=int(at * 1_000_000))
        )


def test_bytes_of_what_was_in_force_stay_while_a_record_may_name_them(
    registry: Registry, database: Engine
) -> None:
    first, second, active = [activate(registry, f"1.{minor}.0") for minor in range(3)]
    use(database, first.checksum, NOON + 86_400)
    for version in (first, second):
        registry.remove(version.id, actor=ALICE)

    def has_bytes(version: BundleVersion) -> bool:
        try:
            data = registry.data_of(version.checksum)
        except NotFoundError:
            return False
        return hashlib.sha256(data).hexdigest() == version.checksum

    steps = [(0, 0, [True] * 3), (1, 1, [True, False, True]), (86_400, 0, [True, False, True])]
    for seconds, gone, expected in [*steps, (86_401, 1, [False, False, True])]:
        assert registry.let_go(moment(NOON + seconds)) == gone
        assert [has_bytes(version) for version in (first, second, active)] == expected
    with pytest.raises(NotFoundError, match="no bundle with the id"):
        registry.data(first.id)


def test_the_version_in_force_cannot_be_removed(registry: Registry) -> None:
    active = activate(registry)
    with pytest.raises(ConflictError, match=rf"{active.id} \(version 1\.0\.0\) is in force"):
        registry.remove(active.id, actor=ALICE)
    assert registry.versions() == [active]
