"""A worker follows what is in force: what it decides by, what it prepares, what it says of itself.

Nothing waits here for the thread that looks unless the test is about it: `Node` starts it on
request.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update

from scopebound_engine.bundle.registry.registry import BundleVersion
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.database.engine import migrate, open_database, transaction
from scopebound_engine.database.schema import activations, bundles
from scopebound_engine.errors import EvaluationError
from tests.decision.small_bundles import KEY, Node, packed, reason, until
from tests.postgres import PostgresServer
from tests.rego.pools import spawners_of

ONE, TWO, THREE = packed("1.0.0"), packed("2.0.0"), packed("3.0.0")


@pytest.fixture
def make(database: Engine, tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Makes nodes that share a database."""
    made: list[Node] = []

    def node(name: str = "node-1") -> Node:
        made.append(Node(database, tmp_path / name, name))
        return made[-1]

    yield node
    for one in made:
        one.close()


@pytest.fixture
def node(make: Callable[..., Node]) -> Node:
    """A node that runs version 1.0.0 and follows."""
    made = make()
    made.activate(made.store(ONE))
    made.follower.start()
    return made


def propose(node: Node, version: BundleVersion) -> int:
    """The id of a proposal that the worker has prepared or refused."""
    proposal = node.fleet.propose(version.id, lease_seconds=30)
    assert proposal is not None
    until(lambda: proposal.id in (node.reported().prepared, node.reported().failed))
    return proposal.id


def damage(database: Engine, version: BundleVersion, data: bytes) -> None:
    """Change the row's bytes behind the registry's back."""
    with transaction(database) as connection:
        row = update(bundles).where(bundles.c.id == version.id)
        connection.execute(row.values(bytes=data))


def spawners() -> int:
    return len(spawners_of(os.getpid()))


def test_a_worker_starts_with_what_is_in_force_and_says_so(node: Node) -> None:
    loaded = node.at_least(1, seconds=0)
    assert reason(loaded) == "1.0.0"
    active = node.registry.active()
    assert active is not None
    assert (loaded.ref.id, loaded.ref.version) == (active.id, "1.0.0")
    assert (loaded.ref.checksum, loaded.ref.generation) == (active.checksum, 1)
    report = node.reported()
    assert (report.generation, report.checksum, report.error) == (1, active.checksum, "")
    assert loaded.key_id == KEY.key_id
    assert (report.node_id, report.pid) == ("node-1", os.getpid())
    assert report.loaded_at is not None
    assert node.follower.is_sound
    assert (node.data_dir / active.bundle_path).read_bytes() == ONE


def test_before_the_first_activation_there_is_nothing_to_wait_for(
    make: Callable[..., Node],
) -> None:
    node = make()
    node.follower.start()
    with pytest.raises(EvaluationError, match="no policy bundle is active"):
        node.at_least(0, seconds=60)
    assert not node.follower.is_sound
    assert node.reported().generation == 0
    node.activate(node.store(ONE))
    assert reason(node.at_least(1)) == "1.0.0"
    assert node.follower.is_sound


def test_a_proposal_is_prepared_and_decides_nothing(node: Node) -> None:
    two = node.store(TWO)
    proposal = propose(node, two)
    assert node.reported().prepared == proposal
    assert reason(node.at_least(1)) == "1.0.0"
    assert node.reported().generation == 1


def test_a_commit_is_followed_without_any_call(node: Node) -> None:
    two = node.store(TWO)
    propose(node, two)
    began = time.monotonic()
    node.activate(two)
    until(lambda: node.reported().generation == 2)
    print(f"followed and reported {(time.monotonic() - began) * 1000:.0f} ms after the commit")
    assert node.reported().checksum == two.checksum


def test_a_call_after_the_commit_swaps_at_once_what_is_warm(make: Callable[..., Node]) -> None:
    node = make()
    node.activate(node.store(ONE))
    node.follower.start()
    two = node.store(TWO)
    propose(node, two)
    node.follower.close()  # no thread looks any more
    node.activate(two)
    assert reason(node.at_least(1, seconds=0)) == "1.0.0"  # of a call that had begun before
    assert reason(node.at_least(2)) == "2.0.0"
    assert reason(node.at_least(1, seconds=0)) == "2.0.0"


def test_a_worker_that_prepared_nothing_loads_within_the_calls_deadline(node: Node) -> None:
    node.activate(node.store(TWO))
    began = time.monotonic()
    assert reason(node.at_least(2)) == "2.0.0"
    print(f"loaded {(time.monotonic() - began) * 1000:.0f} ms after the commit")


def test_a_call_whose_deadline_comes_first_is_told_what_it_waited_for(node: Node) -> None:
    node.activate(node.store(TWO))
    with pytest.raises(EvaluationError, match=r"generation 2 .* still runs generation 1"):
        node.at_least(2, seconds=0.001)
    assert reason(node.at_least(2)) == "2.0.0"


def test_of_many_calls_that_wait_one_bundle_is_loaded(node: Node) -> None:
    node.activate(node.store(TWO))
    with ThreadPoolExecutor(24) as threads:
        loaded = list(threads.map(lambda _: node.at_least(2), range(24)))
    assert {one.ref.generation for one in loaded} == {2}
    assert len({id(one.pool) for one in loaded}) == 1
    assert spawners() == 2


def test_the_newer_one_decides_where_the_call_saw_an_older(node: Node) -> None:
    node.activate(node.store(TWO))
    node.at_least(2)
    assert node.at_least(1, seconds=0).ref.generation == 2


def test_the_way_back_is_prepared_at_once_and_verified_again(node: Node) -> None:
    one = node.registry.active()
    assert one is not None
    node.activate(node.store(TWO))
    node.at_least(2)
    before = spawners_of(os.getpid())
    began = time.monotonic()
    proposal = propose(node, one)
    print(f"a standby was prepared and reported in {(time.monotonic() - began) * 1000:.0f} ms")
    assert node.reported().prepared == proposal
    node.activate(one)
    assert reason(node.at_least(3)) == "1.0.0"
    assert spawners_of(os.getpid()) == before


def test_a_warm_bundle_whose_key_was_revoked_is_refused(node: Node) -> None:
    one = node.registry.active()
    assert one is not None
    node.activate(node.store(TWO))
    node.at_least(2)
    node.revoke("the laptop was stolen")
    refused = propose(node, one)
    assert node.reported().failed == refused
    assert "the laptop was stolen" in node.reported().error
    assert reason(node.at_least(2)) == "2.0.0"


def test_a_proposal_that_cannot_run_is_refused_and_changes_nothing(node: Node) -> None:
    broken = node.store(packed("2.0.0", rules="package scopebound\n}"))
    refused = propose(node, broken)
    assert node.reported().failed == refused
    assert "does not compile" in node.reported().error
    assert any("does not compile" in problem for problem in node.follower.problems)
    assert reason(node.at_least(1)) == "1.0.0"
    assert node.follower.is_sound


def test_a_proposal_signed_by_nobody_trusted_here_is_refused(node: Node) -> None:
    stranger = SigningKey.generate("es256")
    foreign = node.store(packed("2.0.0", key=stranger), stranger)
    refused = propose(node, foreign)
    assert node.reported().failed == refused
    assert "no trusted key" in node.reported().error


def test_a_refusal_is_a_problem_until_a_proposal_runs(node: Node) -> None:
    broken = node.store(packed("2.0.0", rules="package scopebound\n}"))
    node.fleet.withdraw(propose(node, broken))
    assert node.follower.problems
    propose(node, node.store(THREE))
    assert node.follower.problems == ()
    assert "does not compile" in node.reported().error  # the last one


def test_what_is_in_force_and_damaged_everywhere_is_denied_at_once_and_named(
    node: Node, database: Engine
) -> None:
    two = node.store(TWO)
    damage(database, two, TWO[:-1])
    node.activate(two)
    until(lambda: not node.follower.is_sound)
    began = time.monotonic()
    with pytest.raises(EvaluationError, match=r"generation 2 .*corrupt"):
        node.at_least(2, seconds=30)
    assert time.monotonic() - began < 1
    until(lambda: "corrupt" in node.reported().error)
    damage(database, two, TWO)
    until(lambda: node.follower.is_sound)
    assert reason(node.at_least(2)) == "2.0.0"
    assert node.follower.problems == ()


def test_from_a_bundle_that_cannot_be_loaded_there_is_a_way_back_at_once(
    node: Node, database: Engine
) -> None:
    one, two = node.registry.active(), node.store(TWO)
    assert one is not None
    damage(database, two, b"")
    node.activate(two)
    until(lambda: not node.follower.is_sound)
    node.activate(one)
    assert reason(node.at_least(3)) == "1.0.0"
    assert node.follower.is_sound


def test_a_worker_starts_without_a_sound_bundle_and_says_why(
    make: Callable[..., Node], database: Engine
) -> None:
    node = make()
    one = node.activate(node.store(ONE))
    damage(database, one, TWO)
    node.follower.start()
    assert not node.follower.is_sound
    assert "corrupt" in node.reported().error
    with pytest.raises(EvaluationError, match="corrupt"):
        node.at_least(1, seconds=30)


def test_a_worker_starts_with_a_bundle_whose_key_was_revoked_and_raises_an_alarm(
    make: Callable[..., Node],
) -> None:
    node = make()
    node.activate(node.store(ONE))
    node.revoke("the laptop was stolen")
    node.follower.start()
    assert reason(node.at_least(1)) == "1.0.0"
    until(lambda: any("the laptop was stolen" in one for one in node.follower.problems))
    assert node.follower.is_sound
    until(lambda: "the laptop was stolen" in node.reported().error)


def test_generations_that_a_restored_database_lost_decide_no_more(
    node: Node, database: Engine
) -> None:
    node.activate(node.store(TWO))
    assert reason(node.at_least(2)) == "2.0.0"
    with transaction(database) as connection:
        connection.execute(delete(activations).where(activations.c.generation == 2))
    until(lambda: node.active.generation == 1)
    assert reason(node.at_least(1)) == "1.0.0"


def test_every_node_follows(node: Node, make: Callable[..., Node]) -> None:
    other = make("node-2")
    other.follower.start()
    two = node.store(TWO)
    proposal = propose(node, two)
    until(lambda: other.reported().prepared == proposal)
    node.activate(two)
    assert [reason(one.at_least(2)) for one in (node, other)] == ["2.0.0", "2.0.0"]
    assert {report.node_id for report in node.fleet.workers()} == {"node-1", "node-2"}
    assert (other.data_dir / two.bundle_path).read_bytes() == TWO


def test_alternating_under_load_no_call_fails_or_is_decided_by_an_older_bundle(node: Node) -> None:
    one, two = node.registry.active(), node.store(TWO)
    assert one is not None
    stop, names = threading.Event(), {one.id: "1.0.0", two.id: "2.0.0"}
    decided: list[tuple[int, int, bool]] = []

    def call() -> None:
        while not stop.is_set():
            seen = node.registry.generation()
            loaded = node.at_least(seen, seconds=1)
            fits = reason(loaded) == names[loaded.ref.id]
            decided.append((seen, loaded.ref.generation, fits))

    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(call) for _ in range(3)]
        for number in range(10):
            version = (two, one)[number % 2]
            proposal = propose(node, version)
            node.activate(version)
            node.fleet.withdraw(proposal)
        stop.set()
    for one_call in calls:
        one_call.result()
    assert len(decided) > 20
    assert all(generation >= seen for seen, generation, _ in decided)
    assert all(fits for *_, fits in decided)
    assert {generation for _, generation, _ in decided} >= {2, 5, 10}


def test_a_worker_that_ends_leaves_the_fleet_and_no_thread(node: Node) -> None:
    assert len(node.fleet.workers()) == 1
    node.follower.close()
    assert node.fleet.workers() == []
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith("bundle-")}


def test_while_the_database_is_away_what_is_in_force_here_stays_so(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    engine = open_database(own_postgres.url(), tmp_path)
    migrate(engine)
    node = Node(engine, tmp_path / "node")
    two = node.store(TWO)
    node.activate(node.store(THREE))
    node.follower.start()
    own_postgres.stop()
    until(lambda: bool(node.follower.problems))
    assert reason(node.at_least(1, seconds=0)) == "3.0.0"
    with pytest.raises(EvaluationError, match=r"generation 2 .*does not answer"):
        node.at_least(2, seconds=1)
    own_postgres.start()
    until(lambda: not node.follower.problems)
    generation = node.activate(two).generation  # a server that crashed skips some
    until(lambda: node.reported().generation == generation)
    node.close()
    engine.dispose()
