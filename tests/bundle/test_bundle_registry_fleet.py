import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_samples import KEY, signed, trust
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from scopebound_engine.bundle.registry.fleet import Fleet, Proposal, Pulse, WorkerReport
from scopebound_engine.bundle.registry.registry import Actor, BundleVersion, Registry
from scopebound_engine.bundle.signature import verify
from scopebound_engine.database.engine import migrate, open_database, transaction
from tests.postgres import PostgresServer

ME = Actor("me")
REPORT = WorkerReport(
    worker_id="node-1/7",
    node_id="node-1",
    pid=7,
    generation=3,
    checksum="c" * 64,
    prepared=5,
    failed=4,
    error="it has no entrypoint",
    error_at=datetime(2026, 4, 29, 17, 23, 40, 500001, tzinfo=UTC),
    loaded_at=datetime(2026, 4, 29, 17, 23, 41, tzinfo=UTC),
)


@pytest.fixture
def fleet(database: Engine) -> Fleet:
    return Fleet(database)


@pytest.fixture
def bundle(database: Engine) -> BundleVersion:
    return store(database)


def store(engine: Engine) -> BundleVersion:
    data = signed(KEY)
    verified = verify(data, trust(KEY))
    return Registry(engine, time.time).store(data, verified, description="", actor=ME)


def let_pass(engine: Engine, seconds: float) -> None:
    """Date everything back, as if the database's clock had gone on by so much."""
    shift = {"us": round(seconds * 1_000_000)}
    with transaction(engine) as connection:
        connection.execute(text("UPDATE workers SET seen_us = seen_us - :us"), shift)
        connection.execute(
            text(
                "UPDATE activation_proposals "
                "SET opened_us = opened_us - :us, lease_ends_us = lease_ends_us - :us"
            ),
            shift,
        )


def ids(fleet: Fleet) -> list[str]:
    return [report.worker_id for report in fleet.workers()]


# What is in force and proposed.


def test_at_first_nothing_is_in_force_and_nothing_proposed(fleet: Fleet) -> None:
    assert fleet.look() == Pulse(0, None)


def test_a_look_tells_what_is_in_force_and_what_is_proposed(
    fleet: Fleet, database: Engine, bundle: BundleVersion
) -> None:
    proposal = fleet.propose(bundle.id, lease_seconds=10)
    assert proposal is not None
    assert proposal.id > 0
    assert fleet.look() == Pulse(0, proposal)
    active = Registry(database, time.time).activate(bundle.id, actor=ME)
    assert fleet.look() == Pulse(active.generation or 0, Proposal(proposal.id, bundle.id))
    fleet.withdraw(proposal.id)
    assert fleet.look() == Pulse(active.generation or 0, None)


def test_a_look_is_one_statement_that_writes_nothing(fleet: Fleet, database: Engine) -> None:
    statements: list[str] = []

    @event.listens_for(database, "before_cursor_execute")
    def _note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    fleet.look()
    fleet.look()
    assert [statement.split()[0] for statement in statements if "BEGIN" not in statement] == [
        "SELECT",
        "SELECT",
    ]


def test_one_proposal_is_open_at_a_time(fleet: Fleet, bundle: BundleVersion) -> None:
    first = fleet.propose(bundle.id, lease_seconds=10)
    assert first is not None
    assert fleet.propose(bundle.id, lease_seconds=10) is None
    fleet.withdraw(first.id)
    second = fleet.propose(bundle.id, lease_seconds=10)
    assert second is not None
    assert second.id > first.id


def test_a_proposal_ends_with_its_lease(
    fleet: Fleet, database: Engine, bundle: BundleVersion
) -> None:
    first = fleet.propose(bundle.id, lease_seconds=10)
    let_pass(database, 9)
    assert fleet.look().proposal == first
    assert fleet.propose(bundle.id, lease_seconds=10) is None
    let_pass(database, 1.001)
    assert fleet.look().proposal is None
    second = fleet.propose(bundle.id, lease_seconds=10)
    assert second == fleet.look().proposal
    assert first is not None
    assert second is not None
    assert second.id > first.id


def test_who_withdraws_a_proposal_that_has_ended_ends_no_other(
    fleet: Fleet, database: Engine, bundle: BundleVersion
) -> None:
    first = fleet.propose(bundle.id, lease_seconds=10)
    let_pass(database, 11)
    second = fleet.propose(bundle.id, lease_seconds=10)
    assert first is not None
    fleet.withdraw(first.id)
    assert fleet.look().proposal == second


def test_a_clock_that_is_set_back_makes_no_lease_longer(
    fleet: Fleet, database: Engine, bundle: BundleVersion
) -> None:
    fleet.propose(bundle.id, lease_seconds=10)
    let_pass(database, -3600)
    assert fleet.look().proposal is None
    assert fleet.propose(bundle.id, lease_seconds=10) is not None


def test_a_bundle_that_is_not_stored_cannot_be_proposed(fleet: Fleet) -> None:
    with pytest.raises(IntegrityError):
        fleet.propose("nowhere", lease_seconds=10)
    assert fleet.look().proposal is None


def test_proposals_are_made_one_after_the_other(
    fleet: Fleet, database: Engine, bundle: BundleVersion
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with transaction(database, lock="proposals"):
            made = thread.submit(fleet.propose, bundle.id, lease_seconds=10)
            time.sleep(0.1)
            assert not made.done()
        assert made.result() is not None


def test_asking_for_a_turn_again_and_again_holds_up_nobody_who_writes(
    fleet: Fleet, database: Engine, bundle: BundleVersion
) -> None:
    fleet.propose(bundle.id, lease_seconds=10)
    with transaction(database, lock="proposals"):
        assert fleet.propose(bundle.id, lease_seconds=10) is None


def test_of_many_who_propose_at_once_one_succeeds(
    fleet: Fleet, bundle: BundleVersion, database_url: str | None, tmp_path: Path
) -> None:
    other = open_database(database_url, tmp_path)
    fleets = [fleet, Fleet(other)]
    together = threading.Barrier(8)

    def propose(index: int) -> Proposal | None:
        together.wait()
        return fleets[index % 2].propose(bundle.id, lease_seconds=10)

    with ThreadPoolExecutor(8) as threads:
        (made,) = filter(None, threads.map(propose, range(8)))
    other.dispose()
    assert fleet.look().proposal == made


# What workers say.


def test_a_report_comes_back_as_it_was_given(fleet: Fleet) -> None:
    fleet.report(REPORT)
    (read,) = fleet.workers()
    assert replace(read, silent_seconds=0.0) == REPORT
    assert 0 <= read.silent_seconds < 1


def test_a_worker_is_the_last_that_it_said(fleet: Fleet) -> None:
    fleet.report(REPORT)
    later = replace(REPORT, generation=4, checksum=None, prepared=0, error="", error_at=None)
    fleet.report(later)
    (read,) = fleet.workers()
    assert replace(read, silent_seconds=0.0) == later


def test_workers_are_told_by_node_and_process(fleet: Fleet) -> None:
    for node, pid in [("b", 1), ("a", 10), ("a", 9)]:
        fleet.report(WorkerReport(f"{node}/{pid}", node, pid))
    assert ids(fleet) == ["a/9", "a/10", "b/1"]


def test_silence_is_counted_from_the_last_report(fleet: Fleet, database: Engine) -> None:
    fleet.report(REPORT)
    let_pass(database, 1.5)
    (read,) = fleet.workers()
    assert 1.5 <= read.silent_seconds < 2.5
    fleet.report(read)
    (read,) = fleet.workers()
    assert read.silent_seconds < 1


def test_a_report_from_the_future_is_not_a_recent_one(fleet: Fleet, database: Engine) -> None:
    fleet.report(REPORT)
    let_pass(database, -5)
    (read,) = fleet.workers()
    assert 4 < read.silent_seconds <= 5


def test_a_worker_that_leaves_is_forgotten(fleet: Fleet) -> None:
    fleet.report(REPORT)
    fleet.report(replace(REPORT, worker_id="node-1/8", pid=8))
    fleet.leave(REPORT.worker_id)
    fleet.leave("nobody")
    assert ids(fleet) == ["node-1/8"]


def test_a_worker_silent_for_a_minute_is_forgotten(fleet: Fleet, database: Engine) -> None:
    fleet.report(REPORT)
    let_pass(database, 59)
    fleet.report(WorkerReport("other", "node-1", 8))
    assert ids(fleet) == [REPORT.worker_id, "other"]
    let_pass(database, 2)
    assert ids(fleet) == ["other"]
    fleet.report(WorkerReport("other", "node-1", 8))
    with transaction(database) as connection:
        rows = connection.execute(text("SELECT worker_id FROM workers")).scalars().all()
    assert rows == ["other"]


def test_a_report_does_not_wait_for_a_worker_that_wakes_from_a_long_sleep(
    postgres_url: str, tmp_path: Path
) -> None:
    # It would forget that one, whose own report may in turn wait to forget it: a deadlock.
    database = open_database(postgres_url, tmp_path)
    fleet = Fleet(database)
    fleet.report(REPORT)
    let_pass(database, 120)
    with transaction(database) as connection:
        connection.execute(text("UPDATE workers SET seen_us = scopebound_clock_us()"))
        fleet.report(WorkerReport("other", "node-1", 8))
    assert ids(fleet) == [REPORT.worker_id, "other"]
    database.dispose()


@pytest.fixture
def crashing(own_postgres: PostgresServer, tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(own_postgres.url(), tmp_path)
    migrate(engine)
    yield engine
    engine.dispose()


def test_after_a_crash_of_the_server_proposals_are_there_and_workers_report_anew(
    crashing: Engine, own_postgres: PostgresServer
) -> None:
    fleet, bundle = Fleet(crashing), store(crashing)
    proposal = fleet.propose(bundle.id, lease_seconds=60)
    fleet.report(REPORT)
    own_postgres.stop()
    own_postgres.start()
    assert fleet.look() == Pulse(0, proposal)
    assert fleet.workers() == []
    fleet.report(REPORT)
    assert ids(fleet) == [REPORT.worker_id]
