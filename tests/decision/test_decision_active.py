"""Which bundles have warm evaluators, and which of them decides."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.decision.active import ActiveBundle, BundleRef
from scopebound_engine.errors import EngineError, EvaluatorsClosedError
from tests.decision.small_bundles import SLOW, packed, reason, until, verified
from tests.rego.pools import spawners_of

ONE, TWO, THREE = (verified(packed(version)) for version in ("1.0.0", "2.0.0", "3.0.0"))


@pytest.fixture
def active() -> Iterator[ActiveBundle]:
    made = ActiveBundle(evaluators=1, evaluation_seconds=5.0)
    yield made
    made.close()
    assert spawners_of(os.getpid()) == set()


def ref(bundle: VerifiedBundle, generation: int) -> BundleRef:
    return BundleRef("id", bundle.manifest.version, bundle.checksum, generation)


def activate(active: ActiveBundle, bundle: VerifiedBundle, generation: int) -> None:
    active.prepare(bundle)
    assert active.promote(ref(bundle, generation))


def spawners() -> int:
    return len(spawners_of(os.getpid()))


def test_nothing_is_in_force_at_first(active: ActiveBundle) -> None:
    assert active.current is None
    assert (active.generation, active.evaluators) == (0, 0)
    assert not active.promote(ref(ONE, 1))


def test_a_candidate_decides_nothing_until_it_is_promoted(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    active.prepare(TWO)
    assert reason(active.current) == "1.0.0"
    assert active.promote(ref(TWO, 2))
    assert reason(active.current) == "2.0.0"
    assert active.current is not None
    assert active.current.ref == ref(TWO, 2)
    assert active.current.key_id == TWO.key_id
    assert active.evaluators == 1


def test_what_is_not_warm_is_not_promoted(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    assert not active.promote(ref(TWO, 2))
    assert active.generation == 1


def test_the_way_back_needs_no_new_process(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    activate(active, TWO, 2)
    before = spawners_of(os.getpid())
    for generation, bundle in enumerate((ONE, TWO, ONE), start=3):
        activate(active, bundle, generation)
        assert reason(active.current) == bundle.manifest.version
    assert spawners_of(os.getpid()) == before


def test_a_generation_of_the_bundle_in_force_is_a_new_name_for_it(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    former = active.current
    assert active.promote(ref(ONE, 3))
    assert active.current is not None
    assert former is not None
    assert active.current.pool is former.pool
    assert active.generation == 3


def test_an_older_generation_changes_nothing(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    activate(active, TWO, 4)
    assert active.promote(ref(ONE, 3))
    assert reason(active.current) == "2.0.0"


def test_the_one_before_the_standby_is_let_go(active: ActiveBundle) -> None:
    for generation, bundle in enumerate((ONE, TWO, THREE), start=1):
        activate(active, bundle, generation)
    until(lambda: spawners() == 2)
    assert not active.promote(ref(ONE, 4))
    assert active.promote(ref(TWO, 4))


def test_another_candidate_takes_the_place_of_the_former(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    active.prepare(TWO)
    active.prepare(THREE)
    until(lambda: spawners() == 2)
    assert not active.promote(ref(TWO, 2))
    active.discard()
    until(lambda: spawners() == 1)
    assert not active.promote(ref(THREE, 2))
    assert reason(active.current) == "1.0.0"


@pytest.mark.parametrize(
    "rules",
    [
        "package scopebound\n}",
        'package scopebound\ndecision := {"allow": true, "violations": []}\n',
    ],
    ids=["does not compile", "allows whatever it is asked"],
)
def test_what_is_unfit_to_decide_leaves_no_process_and_the_candidate_before_it(
    active: ActiveBundle, rules: str
) -> None:
    active.prepare(TWO)
    with pytest.raises(EngineError):
        active.prepare(verified(packed("3.0.0", rules=rules)))
    assert spawners() == 1
    assert active.promote(ref(TWO, 1))


def test_an_evaluation_outlives_its_bundle(active: ActiveBundle) -> None:
    activate(active, ONE, 1)
    former, given, begun = active.current, [], threading.Event()

    def evaluate() -> None:
        begun.set()
        given.append(reason(former, **SLOW))

    thread = threading.Thread(target=evaluate)
    thread.start()
    begun.wait()
    time.sleep(0.01)
    activate(active, TWO, 2)
    activate(active, THREE, 3)
    thread.join()
    assert given == ["1.0.0"]
    until(lambda: spawners() == 2)
    with pytest.raises(EvaluatorsClosedError):
        reason(former)


def test_suspended_nothing_decides_and_what_is_warm_stays_so(active: ActiveBundle) -> None:
    activate(active, ONE, 5)
    active.suspend()
    assert active.current is None
    assert active.promote(ref(ONE, 4))
    assert active.generation == 4
