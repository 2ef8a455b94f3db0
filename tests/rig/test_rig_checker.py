"""The judge finds what was planted: each history here has one fault, and nothing else is found."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.accounting import MINUTE, Limit
from tests.rig import history, records
from tests.rig.checker import Kind, judged, longest_gap
from tests.rig.history import ALLOW, Answer, Change, Fault
from tests.rig.records import Records
from tests.rig.report import Outcome
from tests.rig.verdict import Verdict

PLAIN, MARKED, LIMITED, FORGED = range(4)
KINDS = [
    Kind({"lenient": ALLOW, "strict": ALLOW}),
    Kind({"lenient": ALLOW, "strict": "MARKED_CALL"}),
    Kind({"lenient": ALLOW, "strict": ALLOW}, Limit(3, MINUTE)),
    Kind({"lenient": "JWT_INVALID", "strict": "JWT_INVALID"}, judged=False),
]
# Lenient until a change between 20 and 21, then strict until one between 40 and 41.
CHANGES = [
    Change(1, "lenient", "sum1", 0.0, 1.0),
    Change(2, "strict", "sum2", 20.0, 21.0),
    Change(3, "lenient", "sum3", 40.0, 41.0),
]
OVER = 60.0
NUMBERS = itertools.count()
SOUND = {
    "wrong_allows": 0,
    "stale": 0,
    "lost": 0,
    "doubled": 0,
    "otherwise_recorded": 0,
    "over_limit": 0,
    "overfull": 0,
    "late": 0,
    "unanswered_unexplained": 0,
}


def id_of(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012d}"


def answer(begun: float, kind: int = PLAIN, said: str = ALLOW, **fields: Any) -> Answer:
    """Answered after 10 ms by the bundle that was in force then."""
    generation = sum(change.begun <= begun for change in CHANGES)
    number = next(NUMBERS)
    made = Answer(
        number, kind, "session", 0, begun, begun + 0.01, 200, said, id_of(number),
        generation, f"sum{generation}",
    )  # fmt: skip
    return made._replace(**fields)


# Every second a call is answered, of all kinds, under all bundles.
EVERY_SECOND = [
    *(answer(second + 0.5) for second in range(1, 60)),
    answer(10.2, MARKED),
    answer(30.2, MARKED, "MARKED_CALL"),
    answer(50.2, MARKED),
    answer(50.3, FORGED, "JWT_INVALID", generation=0, checksum=""),
    *(answer(second, LIMITED, remaining=4 - second) for second in (2, 3, 4)),
    answer(5, LIMITED, "RATE_LIMIT_EXCEEDED", remaining=0),
]


def recorded(answers: Sequence[Answer]) -> Records:
    """The log as it must be."""
    found = Records()
    for each in answers:
        if each.id:
            found.add(record(each))
    return found


def record(answer: Answer, **fields: Any) -> dict[str, Any]:
    decision = {"decision": ALLOW} if answer.said == ALLOW else {"decision": "deny"}
    if answer.said != ALLOW:
        decision["deny_code"] = answer.said
    bundle = {"bundle": {"generation": answer.generation}} if answer.generation else {}
    made = {"id": answer.id, "event": "tool_call", "call_id": f"{answer.number:012d}"}
    return {**made, **decision, **bundle, **fields}


def verdict(
    answers: Sequence[Answer], log: Records | None = None, faults: Sequence[Fault] = ()
) -> Verdict:
    log = recorded(answers) if log is None else log
    return judged(lambda: iter(answers), KINDS, CHANGES, faults, log, OVER)


def found(verdict: Verdict) -> dict[str, int]:
    """What must not be, as far as there is any of it."""
    return {name: n for name in SOUND if (n := getattr(verdict, name))}


def passed(verdict: Verdict) -> bool:
    outcome = Outcome("test", OVER, verdict, 0, 0, 0)
    return outcome.wrong() + outcome.slow() == []


def test_nothing_is_found_in_a_history_as_it_must_be() -> None:
    judged = verdict(EVERY_SECOND)
    assert found(judged) == {}
    assert not judged.wrong_denials
    assert judged.limited_sessions == 1
    assert passed(judged)


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        (answer(30.2, MARKED), "wrong_allows"),
        (answer(30.2, FORGED), "wrong_allows"),
        (answer(40.5, MARKED, generation=2, checksum="sum2"), "wrong_allows"),
        (answer(30.2, generation=1, checksum="sum1"), "stale"),
        (answer(10.2, generation=2, checksum="sum2"), "stale"),
        (answer(30.2, checksum="sum1"), "stale"),
        (answer(30.2, generation=9, checksum="sum9"), "stale"),
        (answer(6, LIMITED), "over_limit"),
        (answer(50, LIMITED, remaining=3), "overfull"),
        (answer(12, LIMITED, "RATE_LIMIT_EXCEEDED", remaining=1), "overfull"),
        (answer(10.2, ended=11.3), "late"),
        (answer(10.2, MARKED, status=0, said="", id="", generation=0), "unanswered_unexplained"),
        (answer(10.2, id=""), "lost"),
    ],
)
def test_a_planted_fault_is_found(planted: Answer, what: str) -> None:
    judged = verdict([*EVERY_SECOND, planted])
    assert found(judged) == {what: 1}
    assert not passed(judged)


def test_an_acknowledged_answer_without_a_record_is_lost() -> None:
    judged = verdict(EVERY_SECOND, recorded(EVERY_SECOND[1:]))
    assert found(judged) == {"lost": 1}
    assert not passed(judged)


def test_two_records_of_one_decision_are_doubled() -> None:
    log = recorded(EVERY_SECOND)
    log.add(record(EVERY_SECOND[3], call_id="another"))
    assert found(verdict(EVERY_SECOND, log)) == {"doubled": 1}
    assert not passed(verdict(EVERY_SECOND, log))


def test_two_decisions_on_one_call_are_doubled() -> None:
    log = recorded(EVERY_SECOND)
    log.add(record(EVERY_SECOND[3], id=id_of(99_999)))
    assert found(verdict(EVERY_SECOND, log)) == {"doubled": 1}


@pytest.mark.parametrize(
    "wrong", [{"decision": "deny", "deny_code": "OTHER"}, {"bundle": {"generation": 3}}]
)
def test_a_record_that_says_otherwise_is_found(wrong: dict[str, Any]) -> None:
    log = recorded(EVERY_SECOND[1:])
    log.add(record(EVERY_SECOND[0], **wrong))
    assert found(verdict(EVERY_SECOND, log)) == {"otherwise_recorded": 1}
    assert not passed(verdict(EVERY_SECOND, log))


def test_while_a_bundle_changes_both_verdicts_are_right_by_the_bundle_that_is_named() -> None:
    calm = [each for each in EVERY_SECOND if not 19 < each.begun < 21]
    both = [
        answer(20.4, MARKED, generation=1, checksum="sum1"),
        answer(20.5, MARKED, "MARKED_CALL"),
    ]
    early = answer(19.9, MARKED, "MARKED_CALL", ended=20.1, generation=2, checksum="sum2")
    assert found(verdict([*calm, *both])) == {}
    assert found(verdict([*calm, early])) == {}


def test_a_bundle_is_over_as_soon_as_an_answer_named_the_next() -> None:
    history = [answer(20.3), answer(20.4, generation=1, checksum="sum1")]
    assert found(verdict([*EVERY_SECOND, *history])) == {"stale": 1}


def test_denials_are_told_apart_by_what_explains_them() -> None:
    denied = [answer(at, said="POLICY_ERROR", generation=0, checksum="") for at in (10.2, 30.2)]
    judged = verdict([*EVERY_SECOND, *denied], faults=[Fault("worker killed", 0, 9.0, 9.0, 9.0)])
    assert judged.wrong_denials == {"POLICY_ERROR": 2}
    assert judged.unexplained_denials == {"POLICY_ERROR": 1}


def test_what_was_caught_in_a_process_that_stood_still_is_late_by_that() -> None:
    stopped = Fault("worker stopped", 0, 10.0, 20.0, 10.0, stopped=True)
    late = answer(10.2, ended=20.3)
    assert found(verdict([*EVERY_SECOND, late], faults=[stopped])) == {}
    assert found(verdict([*EVERY_SECOND, late], faults=[stopped._replace(node=1)])) == {"late": 1}
    after = answer(20.5, MARKED, "MARKED_CALL", ended=21.7)
    judged = verdict([*EVERY_SECOND, after, answer(50.1, ended=51.2)], faults=[stopped])
    assert found(judged) == {"late": 2}
    assert judged.late_by_fault == {"worker stopped": 1, "calm": 1}


def test_time_without_service_counts_from_a_kill_and_ends_with_the_next_right_answer() -> None:
    kill = Fault("worker killed", 0, 30.0, 30.0, 30.0)
    gone = [each for each in EVERY_SECOND if not 30 < each.begun < 34]
    broken = [answer(31, status=0, said=""), answer(32, said="POLICY_ERROR", generation=0)]
    # Nobody asks the policy about a forged token.
    forged = answer(33, FORGED, "JWT_INVALID", generation=0, checksum="")
    judged = verdict([*gone, *broken, forged], faults=[kill])
    [(_, seconds)] = judged.without_service
    assert seconds == pytest.approx(4.51)
    assert not passed(judged)


def test_time_without_service_counts_from_the_end_of_what_takes_it_away() -> None:
    away = Fault("database killed", -1, 30.0, 33.0, 33.0)
    gone = [each for each in EVERY_SECOND if not 30 < each.begun < 34]
    judged = verdict(gone, faults=[away])
    [(_, seconds)] = judged.without_service
    assert seconds == pytest.approx(1.51)
    assert passed(judged)


def test_a_node_that_never_serves_again_is_without_service_to_the_end() -> None:
    assert longest_gap([1.0, 2.0], 1.5, 9.0) == 7.0
    judged = verdict(EVERY_SECOND, faults=[Fault("master killed", 1, 30.0, 30.0, 30.0)])
    assert judged.without_service[0][1] == 30.0


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    history.append(files[0], EVERY_SECOND[:5])
    history.append(files[1], EVERY_SECOND[5:])
    assert list(history.answers(files)) == EVERY_SECOND


def test_a_run_that_decided_nothing_is_not_passed() -> None:
    assert not passed(replace(verdict([])))


def test_a_journal_with_a_line_too_few_is_no_chain(tmp_path: Path) -> None:
    from tests.journals import Written, record

    written = Written(tmp_path)
    written.append(*(record(number) for number in range(4)))
    assert len(list(records.journal(tmp_path))) == 4
    text = written.file.read_bytes().splitlines(keepends=True)
    written.file.write_bytes(b"".join([*text[:1], *text[2:]]))
    with pytest.raises(AssertionError, match="breaks at line 2"):
        list(records.journal(tmp_path))
