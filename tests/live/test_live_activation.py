"""Bundles change under load: no call fails, and none is decided by a bundle of before its time.

SCOPEBOUND_TEST_ACTIVATIONS=100 makes it long.
"""

import itertools
import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bundles import (
    MARKED,
    MARKED_CODE,
    Change,
    make_bundle,
    quick_policies,
    roll_back,
    server_key,
    upload,
)
from tests.load import Answer, Latency, Load, latency
from tests.postgres import Databases
from tests.processes import descendants
from tests.servers import RunningServer, serving

ACTIVATIONS = int(os.environ.get("SCOPEBOUND_TEST_ACTIVATIONS", "8"))
# Few calls at once: on a machine with ten times its work all others would wait for an evaluator.
RATE, LINES = 100.0, 6
CALM_SECONDS = 2.0
STOPPED_SECONDS = 5.0
# No call stands through so much of an activation: 3 % on a machine that has nothing else to do, and
# little more beside others, who make the activation longer too. All, if calls waited for its end.
HELD_UP = 0.5
# Where tests share few processors a call may wait for one longer than the defaults allow.
PATIENT: dict[str, Any] = {"evaluation_deadline_ms": 900, "total_deadline_ms": 1_900}


def nobody(_: Answer) -> bool:
    return False


# What a history may not hold


def faults(
    history: Sequence[Answer],
    changes: Sequence[Change],
    excused: Callable[[Answer], bool] = nobody,
) -> list[str]:
    """What is wrong with the answers; those `excused` may deny with POLICY_ERROR instead."""
    by_generation = {change.generation: change for change in changes}
    return [
        f"{answer.tool} due {answer.due:.3f}, begun {answer.begun:.3f}: {wrong}"
        for answer, newest in _with_newest(history, changes)
        if (wrong := _wrong(answer, by_generation, newest, excused))
    ]


def _wrong(
    answer: Answer,
    changes: dict[int, Change],
    newest: int,
    excused: Callable[[Answer], bool],
) -> str:
    said = answer.decision
    if answer.status != 200:
        return f"status {answer.status}"
    if said.get("deny_code") == "POLICY_ERROR":
        return "" if excused(answer) else said["reason"]
    change = changes[said["bundle_generation"]]
    if said["bundle_checksum"] != change.checksum:
        return f"generation {change.generation} with the checksum of another"
    if change.generation < newest:
        return f"decided by generation {change.generation}, after {newest} had been seen"
    expected = MARKED_CODE if change.denies and answer.tool == MARKED else None
    got = said.get("deny_code")
    return "" if got == expected else f"generation {change.generation}: {got}, not {expected}"


def _with_newest(
    history: Sequence[Answer], changes: Sequence[Change]
) -> Iterator[tuple[Answer, int]]:
    """Each answer, with the newest generation that anyone had been told of before it was asked."""
    told = [(change.ended, change.generation) for change in changes]
    told += [
        (answer.ended, answer.decision["bundle_generation"])
        for answer in history
        if answer.decision.get("bundle_generation")
    ]
    told.sort()
    newest = position = 0
    for answer in sorted(history, key=lambda answer: answer.begun):
        while position < len(told) and told[position][0] < answer.begun:
            newest = max(newest, told[position][1])
            position += 1
        yield answer, newest


class Deciders:
    """Puts a bundle that denies marked calls in force, and one that does not, in turn."""

    def __init__(self, http: httpx.Client, data_dir: Path) -> None:
        self._http, self._key = http, server_key(data_dir)
        self._patches = itertools.count(1)
        self._uploaded: dict[bool, str] = {}
        self.changes = [self.upload(denies=False)]

    def upload(self, *, denies: bool) -> Change:
        data = make_bundle(self._key, f"1.0.{next(self._patches)}", denies=denies)
        change = upload(self._http, data, denies=denies)
        self._uploaded[denies] = change.id
        return change

    def alternate(self, times: int) -> None:
        """Two uploads, two rollbacks, and so on: to one that denies, then to one that does not."""
        for number in range(times):
            denies = number % 2 == 0
            if number % 4 < 2:
                change = self.upload(denies=denies)
            else:
                change = roll_back(self._http, self._uploaded[denies], denies=denies)
            self.changes.append(change)


def held_up(history: Sequence[Answer], changes: Sequence[Change]) -> float:
    """The share of a change that the longest call stood through; the median of all changes.

    From its sending on: before that it waits for a connection as long as the machine is busy.
    """
    return statistics.median(
        max(_both(answer, change) / (change.ended - change.begun) for answer in history)
        for change in changes
    )


def _both(answer: Answer, change: Change) -> float:
    """Seconds in which a call and a change were under way."""
    return min(answer.ended, change.ended) - max(answer.begun, change.begun)


def report(
    title: str, server: RunningServer, changes: Sequence[Change], calm: Latency, busy: Latency
) -> None:
    """Times for people."""
    whole = latency(change.ended - change.begun for change in changes)
    print(f"\n{title}: {len(changes)} activations")
    print(f"  request to answer         {whole}")
    print(f"  of that without the gate  {latency(converged(server, changes))}")
    print(f"  enforce, in calm          {calm}")
    print(f"  enforce, while activating {busy}")


def converged(server: RunningServer, changes: Sequence[Change]) -> Iterator[float]:
    """The seconds of each change from its proposal until all workers ran it, as the server logs."""
    generations = {change.generation for change in changes}
    for line in server.log.read_text().splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "bundle in force" and said["generation"] in generations:
            yield sum(said[f"{part}_seconds"] for part in ("prepare", "commit", "converge"))


def test_every_decision_is_by_the_bundle_it_names_and_never_by_a_former_one(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data", workers=2, **PATIENT) as server, server.client(60) as http:
        deciders = Deciders(http, server.data_dir)
        with Load([server], RATE, lines=LINES) as load:
            time.sleep(CALM_SECONDS)
            begun = time.monotonic()
            deciders.alternate(ACTIVATIONS)
            ended = time.monotonic()
            time.sleep(0.5)
    changes = deciders.changes
    assert faults(load.history, changes) == []
    assert all(change.answer["converged"] for change in changes)
    generations = [change.generation for change in changes]
    assert generations == list(range(generations[0], generations[0] + ACTIVATIONS + 1))
    decided = {answer.decision["bundle_generation"] for answer in load.history}
    assert decided == set(generations)
    calm = latency(answer.latency for answer in load.since(0, begun))
    busy = latency(answer.latency for answer in load.since(begun, ended))
    report("one node, two workers", server, changes[1:], calm, busy)
    share = held_up(load.history, changes[1:])
    print(f"  stood through by a call   {share:.0%} of an activation")
    assert share < HELD_UP


# The judge itself


def change(generation: int, ended: float, *, denies: bool) -> Change:
    return Change(ended - 1, ended, str(generation), generation, f"sum{generation}", denies, {})


def answer(begun: float, tool: str = MARKED, status: int = 200, **decision: Any) -> Answer:
    body = {"bundle_generation": 1, "bundle_checksum": "sum1", "decision": "allow", **decision}
    return Answer(0, tool, begun, begun, begun + 1, status, json.dumps(body).encode())


CHANGES = [change(1, 10, denies=False), change(2, 20, denies=True)]
NEW = {"bundle_generation": 2, "bundle_checksum": "sum2"}
DENIED = {**NEW, "decision": "deny", "deny_code": MARKED_CODE}


def test_the_judge_finds_nothing_in_a_history_as_it_must_be() -> None:
    history = [answer(11), answer(19), answer(19.5, **DENIED), answer(21, "plain", **NEW)]
    assert faults(history, CHANGES) == []


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ([answer(11, status=503)], "status 503"),
        ([answer(11, status=0)], "status 0"),
        ([answer(11, deny_code="POLICY_ERROR", reason="late")], "late"),
        ([answer(20.5)], "generation 1, after 2 had been seen"),
        ([answer(17, **DENIED), answer(18.5)], "generation 1, after 2 had been seen"),
        ([answer(21, **NEW)], "generation 2: None, not MARKED_CALL"),
        ([answer(11, deny_code=MARKED_CODE)], "generation 1: MARKED_CALL, not None"),
        ([answer(21, "plain", **DENIED)], "generation 2: MARKED_CALL, not None"),
        ([answer(21, bundle_generation=2)], "with the checksum of another"),
    ],
)
def test_the_judge_finds_what_must_not_be(history: list[Answer], says: str) -> None:
    found = faults(history, CHANGES)
    assert len(found) == 1
    assert says in found[0]


def test_the_judge_sees_calls_that_wait_for_a_change_to_be_over() -> None:
    change = CHANGES[0]  # of one second
    quick = [replace(answer(9 + tenth / 10), ended=9.1 + tenth / 10) for tenth in range(10)]
    assert held_up(quick, [change]) == pytest.approx(0.1)
    waiting = replace(answer(9.2), ended=10.05)
    assert held_up([*quick, waiting], [change]) == pytest.approx(0.8)


# Two nodes


@pytest.fixture
def nodes(
    postgres_databases: Databases, tmp_path: Path
) -> Iterator[tuple[RunningServer, RunningServer]]:
    name = postgres_databases.create()
    shared: dict[str, Any] = {
        "database_url": postgres_databases.url(name),
        **PATIENT,
        "policies": quick_policies(tmp_path / "source"),
        "workers": 1,
    }
    with ExitStack() as stack:
        one = stack.enter_context(serving(tmp_path / "one", **shared))
        trusted = shutil.copytree(tmp_path / "one/bundle-keys/trusted", tmp_path / "trusted")
        yield one, stack.enter_context(serving(tmp_path / "two", bundle_keys=trusted, **shared))


@contextmanager
def stopped(server: RunningServer) -> Iterator[None]:
    """Every process of a node stands still, as when its machine does."""
    pids = [server.process.pid, *descendants(server.process.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_two_nodes_decide_alike_though_one_of_them_stands_still_across_an_activation(
    nodes: tuple[RunningServer, RunningServer],
) -> None:
    one, two = nodes
    with one.client(60) as http:
        deciders = Deciders(http, one.data_dir)
        with Load([one, two], RATE, lines=LINES) as load:
            time.sleep(CALM_SECONDS)
            begun = time.monotonic()
            deciders.alternate(ACTIVATIONS)
            ended = time.monotonic()
            with stopped(two):
                halted = time.monotonic()
                deciders.alternate(1)
                alone = deciders.changes[-1]
                time.sleep(max(0.0, halted + STOPPED_SECONDS - time.monotonic()))
                resumed = time.monotonic()
            time.sleep(2)
            deciders.alternate(2)
            time.sleep(0.5)

    def caught(answer: Answer) -> bool:
        """It was on the node that stood still, or came when its line was still full."""
        return answer.server == 1 and halted - 1 < answer.ended and answer.begun < resumed + 1

    assert faults(load.history, deciders.changes, caught) == []
    assert alone.ended - alone.begun < STOPPED_SECONDS
    late = [answer for answer in load.history if answer.server == 1 and answer.begun > resumed + 1]
    assert late
    calm = latency(answer.latency for answer in load.since(0, begun))
    busy = latency(answer.latency for answer in load.since(begun, ended))
    changes = deciders.changes[1 : ACTIVATIONS + 1]
    report("two nodes, one worker each", one, changes, calm, busy)
    share = held_up(load.history, changes)
    print(f"  stood through by a call   {share:.0%} of an activation")
    assert share < HELD_UP
    print(f"  with one node stopped     {alone.ended - alone.begun:.2f} s")
