"""Every change and refusal is recorded: who, why, and what was in force before."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select

from scopebound_engine.bundle.registry import events
from scopebound_engine.bundle.registry.registry import Actor, Event, Registry
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.schema import activations
from scopebound_engine.errors import ConflictError, Finding, JournalError
from tests.bundle.bundle_samples import KEY
from tests.bundle.registry_samples import ALICE, BOB, NOON, activate, store


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
