import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_samples import KEY, files, manifest, signed, trust
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from scopebound_engine.bundle.registry import events
from scopebound_engine.bundle.registry.registry import (
    RETAINED,
    Actor,
    BundleVersion,
    Event,
    Registry,
)
from scopebound_engine.bundle.signature import VerifiedBundle, verify
from scopebound_engine.database.engine import open_database, reading, transaction
from scopebound_engine.database.schema import activations, bundle_uses, bundles
from scopebound_engine.errors import (
    ConflictError,
    Finding,
    ForbiddenError,
    JournalError,
    NotFoundError,
)
from scopebound_engine.times import moment

NOON = 1_777_483_420.5  # 2026-04-29 17:23:40.5 UTC
ALICE = Actor("alice", "8ddcf3ca-1281-4668-9333-f067b989337f")
BOB = Actor("bob")


def bundle(version: str = "1.0.0", rule: str = "") -> tuple[bytes, VerifiedBundle]:
    text = json.dumps(manifest(version=version)).encode()
    source = f"package scopebound\n{rule}\n".encode()
    data = signed(KEY, files(**{"manifest.json": text, "scopebound/main.rego": source}))
    return data, verify(data, trust(KEY))


@pytest.fixture
def registry(database: Engine) -> Registry:
    return Registry(database, lambda: NOON)


def store(
    registry: Registry, version: str = "1.0.0", rule: str = "", actor: Actor = ALICE
) -> BundleVersion:
    return registry.store(*bundle(version, rule), description="", actor=actor)


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


# What an upload would be.


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


# What is kept.


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


# What is recorded.


def test_events_tell_who_put_what_in_force_and_what_it_replaced(registry: Registry) -> None:
    first, second = activate(registry, "1.0.0"), activate(registry, "1.1.0")
    again = registry.activate(first.id, actor=BOB, kind="bundle.rolled_back", reason="mistake")
    rolled_back, activated, uploaded, *_ = registry.events()
    assert rolled_back == Event(
        id=rolled_back.id,
        at=datetime.fromtimestamp(NOON, UTC),
        kind="bundle.rolled_back",
        actor="bob",
        api_key_id=None,
        key_id=KEY.key_id,
        bundle_id=first.id,
        from_bundle_id=second.id,
        from_generation=second.generation,
        generation=again.generation,
        version="1.0.0",
        checksum=first.checksum,
        reason="mistake",
        findings=(),
    )
    assert (activated.kind, activated.api_key_id) == ("bundle.activated", ALICE.api_key_id)
    assert (activated.from_bundle_id, activated.bundle_id) == (first.id, second.id)
    assert (uploaded.kind, uploaded.bundle_id) == ("bundle.uploaded", second.id)
    assert uploaded.generation is None


def test_activations_keep_who_and_why(registry: Registry, database: Engine) -> None:
    first, _ = activate(registry, "1.0.0"), activate(registry, "1.1.0")
    registry.activate(first.id, actor=ALICE, kind="bundle.rolled_back", reason="mistake")
    with reading(database) as connection:
        rows = connection.execute(select(activations).order_by(activations.c.generation)).all()
    assert [(row.kind, row.actor, row.api_key_id, row.reason) for row in rows] == [
        ("bundle.activated", "alice", ALICE.api_key_id, ""),
        ("bundle.activated", "alice", ALICE.api_key_id, ""),
        ("bundle.rolled_back", "alice", ALICE.api_key_id, "mistake"),
    ]


def test_a_refusal_is_recorded_with_its_findings_and_what_stayed_in_force(
    registry: Registry,
) -> None:
    finding = Finding("floor", 'it allows "é"', file="main.rego", line=2, column=5, remedy="deny")
    refused = registry.refused(actor=BOB, reason="no", checksum="c" * 64, findings=[finding])
    assert (refused.kind, refused.from_bundle_id, refused.bundle_id) == (
        "bundle.refused",
        None,
        None,
    )
    active = activate(registry)
    later = registry.refused(actor=ALICE, reason="no", bundle_id=active.id.upper())
    assert (later.bundle_id, later.from_bundle_id) == (active.id, active.id)
    assert later.from_generation == active.generation
    newest, *_, eldest = registry.events()
    assert (newest, eldest) == (later, refused)
    assert eldest.findings == (finding,)
    assert eldest.checksum == "c" * 64


def test_of_many_findings_the_first_are_recorded_and_how_many_there_were(
    registry: Registry,
) -> None:
    findings = [Finding("bytes", f"{number} " + "x" * 5_000) for number in range(104)]
    refused = registry.refused(actor=BOB, reason="no bundle", findings=findings)
    assert len(refused.findings) == 20
    assert all(finding.message.startswith("0 xx") for finding in refused.findings[:1])
    assert all(len(finding.message) <= 1_000 for finding in refused.findings)
    assert refused.reason == "no bundle (20 of 104 findings are recorded)"
    assert registry.events() == [refused]


def test_an_actors_eldest_refusals_go_and_nothing_else_does(database: Engine) -> None:
    registry = Registry(database, lambda: NOON)
    version = activate(registry)
    at, others = registry.events()[0].at, registry.refused(actor=ALICE, reason="first")
    namesake = Actor(ALICE.name)
    with transaction(database) as connection:
        for number in range(5):
            events.add_refusal(connection, BOB, at, {"reason": str(number)}, most=3)
        events.add_refusal(connection, namesake, at, {"reason": "x"}, most=1)
    found = registry.events()
    assert [event.reason for event in found if event.actor == "bob"] == ["4", "3", "2"]
    assert others in found
    assert [event.kind for event in registry.events(bundle_id=version.id)] == [
        "bundle.activated",
        "bundle.uploaded",
    ]


def test_an_acknowledgement_is_an_event_of_its_own(registry: Registry) -> None:
    version = store(registry)
    noted = registry.note(
        "bundle.acknowledged", actor=ALICE, reason="it allows", bundle_id=version.id
    )
    assert registry.events(bundle_id=version.id)[0] == noted


def test_a_witness_is_told_of_each_event_once_it_is_in_the_database(registry: Registry) -> None:
    told: list[tuple[Event, bool]] = []
    alice = replace(ALICE, witness=lambda event: told.append((event, event in registry.events())))
    store(registry, "1.0.0")
    version = store(registry, "1.1.0", actor=alice)
    registry.activate(version.id, actor=alice)
    registry.activate(version.id, actor=alice)
    registry.refused(actor=alice, reason="no")
    with pytest.raises(ConflictError):
        registry.remove(version.id, actor=alice)
    assert [event for event, _ in told] == registry.events(limit=3)[::-1]
    assert [event.kind for event, _ in told] == [
        "bundle.uploaded",
        "bundle.activated",
        "bundle.refused",
    ]
    assert all(is_there for _, is_there in told)


def test_what_a_witness_raises_ends_the_change_and_undoes_nothing(registry: Registry) -> None:
    def gone(_event: Event) -> None:
        raise JournalError("the disk is full")

    version = store(registry)
    with pytest.raises(JournalError):
        registry.activate(version.id, actor=replace(ALICE, witness=gone))
    assert registry.active() == registry.get(version.id)
    registry.remove(store(registry, "1.1.0").id, actor=BOB)  # nobody is kept waiting


def test_events_are_read_in_pages_newest_first(registry: Registry) -> None:
    first, other = store(registry, "1.0.0"), store(registry, "1.1.0")
    for index in range(5):
        registry.refused(actor=ALICE, reason=str(index), bundle_id=first.id)
    page = registry.events(limit=2)
    assert [event.reason for event in page] == ["4", "3"]
    assert [event.reason for event in registry.events(limit=2, before=page[-1].id)] == ["2", "1"]
    assert [event.kind for event in registry.events(bundle_id=other.id)] == ["bundle.uploaded"]
    assert registry.events(limit=2, before=1) == []


# All at once.


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
