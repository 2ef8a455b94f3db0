"""Who writes records: what all of them have, which first a replay names, and one chain for all."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scopebound_engine.decision.active import BundleRef
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.errors import JournalError
from scopebound_engine.log.record import Asked
from scopebound_engine.log.recorder import noting
from scopebound_engine.session.state.seam import UNLIMITED, Entry, SessionFacts
from scopebound_engine.strict_json import loads
from scopebound_engine.verdict import ALLOW
from tests.recording import NODE, make_recorder, records_of

CLAIMS = {
    "sub": "agent:r",
    "jti": "s",
    "role": "clerk",
    "role_id": "r",
    "parent_session_id": None,
    "root_session_id": "s",
    "bound": {},
}


def decision(call_id: str = "c", *, replayed: int = 0, named: bool = True) -> Decision:
    return Decision(
        ALLOW,
        BundleRef("b", "1.0.0", "ab", 1),
        entry=Entry("s", "r", 0, 0),
        session=SessionFacts(UNLIMITED, UNLIMITED, replayed=replayed),
        call=Call("tool_call", "read", {"a": "é"}, call_id, named=named),
        claims=CLAIMS,
        facts={"call_args": {"a": "é"}},
    )


def asked(call_id: str = "c") -> Asked:
    return Asked("tool_call", call_id, time.monotonic(), {"id": "q"})


def test_what_is_recorded_is_in_the_journal_under_its_id(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, clock=lambda: 1_777_464_000.5)
    made = recorder.decision(decision(), asked())
    event = recorder.event("role.created", subject={"type": "role", "id": "r"})
    first, second = records_of(tmp_path)
    assert (first["id"], first["event"], first["node"]) == (made, "tool_call.allow", NODE)
    assert first["at"] == "2026-04-29T12:00:00.500000Z"
    assert first["clock"] == {"skew_ms": None}
    assert first["input"]["call_args"] == {"a": "é"}
    assert (second["id"], second["event"]) == (event, "role.created")
    assert second["subject"] == {"type": "role", "id": "r"}


def test_a_replay_names_the_record_of_the_first(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    first = recorder.decision(decision(), asked())
    recorder.decision(decision(replayed=1), asked())
    recorder.decision(decision(replayed=2), asked())
    later = recorder.decision(decision(), asked())
    recorder.decision(decision(replayed=1), asked())
    records = records_of(tmp_path)
    assert [one.get("of") for one in records] == [None, first, first, None, later]
    assert [one["event"] for one in records[:3]] == [
        "tool_call.allow",
        *["tool_call.replay"] * 2,
    ]


def test_a_replay_of_another_workers_first_names_its_call_alone(tmp_path: Path) -> None:
    make_recorder(tmp_path).decision(decision(), asked())
    make_recorder(tmp_path).decision(decision(replayed=1), asked())
    replay = records_of(tmp_path)[1]
    assert "of" not in replay
    assert (replay["session"]["id"], replay["call_id"]) == ("s", "c")


def test_what_cannot_be_written_raises_and_goes_on_by_itself(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    recorder = make_recorder(tmp_path)
    for _ in range(3):
        with pytest.raises(JournalError):
            recorder.decision(decision(), asked())
    (tmp_path / "log").unlink()
    made = recorder.decision(decision(), asked())
    assert made in [one["id"] for one in records_of(tmp_path)]


def test_the_journals_own_records_look_like_all_others() -> None:
    note = loads(noting(NODE, lambda: 1_777_464_000.0)("log.resumed", {"unrecorded": 3}))
    assert note["event"] == "log.resumed"
    assert note["details"] == {"unrecorded": 3}
    assert {"id", "at", "at_us", "node", "engine"} < note.keys()


def record_some(folder: Path, name: str) -> None:
    recorder = make_recorder(folder)
    with ThreadPoolExecutor(4) as threads:
        for number in range(50):
            threads.submit(recorder.event, "test.happened", details={"by": f"{name} {number}"})
    recorder.close()


def test_workers_write_one_chain(tmp_path: Path) -> None:
    spawning = multiprocessing.get_context("spawn")
    workers = [spawning.Process(target=record_some, args=(tmp_path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    said = [one["details"]["by"] for one in records_of(tmp_path) if "by" in one.get("details", {})]
    assert sorted(said) == sorted(f"{name} {number}" for name in "ab" for number in range(50))
