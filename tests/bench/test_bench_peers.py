from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.bench.peers.__main__ import compared, expected
from tests.bench.peers.inside import facts
from tests.bench.peers.measuring import Figures, measured, middle
from tests.bench.peers.plain import decide
from tests.bench.peers.question import EXPECTED, questions
from tests.bench.peers.roster import PEERS, PYTHON, Peer

PLAIN = next(peer for peer in PEERS if peer.name == PYTHON)


@pytest.fixture(scope="module")
def inputs() -> Mapping[str, Any]:
    return facts()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_decides_as_scopebound_does(peer: Peer, inputs: Mapping[str, Any]) -> None:
    if not peer.installed:
        pytest.skip(f"{peer.needs} is not installed")
    with peer.started(inputs) as measure:
        for question in peer.questions:
            assert measure(question, 0.02).answer == expected(peer, question)


def test_the_bare_stack_alone_leaves_out_a_question() -> None:
    assert [peer.name for peer in PEERS if peer.questions != tuple(EXPECTED)] == [PEERS[0].name]


def test_figures_are_told_beside_plain_python(inputs: Mapping[str, Any]) -> None:
    rows = compared([PLAIN], inputs, 0.02, 1)
    assert [(row["name"], row["call"], row["times_python"]) for row in rows] == [
        (PYTHON, "allow", 1),
        (PYTHON, "deny", 1),
    ]
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in rows)


def test_a_peer_that_decides_otherwise_is_not_compared(inputs: Mapping[str, Any]) -> None:
    with pytest.raises(AssertionError, match="was answered PARAMETER_VIOLATION"):
        compared([replace(PLAIN, named=False)], inputs, 0.02, 1)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"env": "secret"}, "ENV_VIOLATION"),
        ({"amount": "25000"}, "PARAMETER_VIOLATION"),
        ({"limit": 1001}, "DATA_LIMIT_EXCEEDED"),
        ({"limit": True}, "DATA_LIMIT_EXCEEDED"),
        ({"limit": None, "amount": 49_999.5}, None),
    ],
)
def test_plain_python_denies_what_the_policies_deny(
    inputs: Mapping[str, Any], changed: dict[str, Any], code: str | None
) -> None:
    question = questions(inputs)["allow"]
    assert decide(replace(question, arguments={**question.arguments, **changed})) == code


def test_the_middle_of_rounds_is_each_figures_own() -> None:
    rounds = [Figures(None, 10, 1, 9, 3), Figures(None, 20, 2, 1, 30), Figures(None, 5, 9, 5, 4)]
    assert middle(rounds) == Figures(None, 35, 2, 5, 4)


def test_processor_time_is_that_of_one_decision() -> None:
    clock = iter(range(1000))
    found = measured(lambda: None, lambda: float(next(clock)), 0.01)
    assert found.cpu_us == pytest.approx(1e6 / found.decisions)
