import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from scopebound_engine.errors import (
    EngineError,
    EvaluatorCrashedError,
    EvaluatorTimeoutError,
)
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.children import Evaluator, Spawner
from scopebound_engine.rego.program import Program
from tests.processes import descendants

ODD_NONCE = b"n" * 16


@pytest.fixture
def pair() -> Iterator[tuple[Evaluator, socket.socket]]:
    ours, theirs = socket.socketpair()
    evaluator = Evaluator(0, ours, None)  # the other end is the test, not a process
    yield evaluator, theirs
    evaluator.close()
    theirs.close()


def allow(nonce: bytes) -> bytes:
    return wire.REPLY.pack(nonce, wire.ALLOW, False, 0)


@pytest.mark.parametrize(
    ("seconds", "error"), [(0.01, EvaluatorTimeoutError), (5.0, EvaluatorCrashedError)]
)
def test_a_process_that_is_gone_was_late_after_its_deadline_and_crashed_before(
    pair: tuple[Evaluator, socket.socket], seconds: float, error: type[Exception]
) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", seconds)
    time.sleep(0.05)
    theirs.recv(1 << 16)  # what is not read would reset the connection
    theirs.close()
    with pytest.raises(error):
        evaluator.reply(nonce)


def test_a_reply_that_comes_in_pieces_is_put_together(
    pair: tuple[Evaluator, socket.socket],
) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", 1.0)
    whole = wire.REPLY.pack(nonce, wire.FAILED, True, 3) + b'"x"'

    def answer() -> None:
        for byte in whole:
            theirs.send(bytes([byte]))
            time.sleep(0.001)

    thread = threading.Thread(target=answer)
    thread.start()
    assert evaluator.reply(nonce) == (wire.FAILED, b'"x"')
    assert evaluator.spent
    thread.join()


def test_the_reply_to_an_earlier_request_is_never_taken(
    pair: tuple[Evaluator, socket.socket],
) -> None:
    evaluator, theirs = pair
    earlier = evaluator.submit(b"first", 1.0)
    theirs.send(allow(earlier))
    assert evaluator.reply(earlier) == (wire.ALLOW, b"")
    theirs.send(allow(earlier))
    with pytest.raises(EvaluatorCrashedError, match="out of turn"):
        evaluator.reply(evaluator.submit(b"second", 1.0))


@pytest.mark.parametrize(
    "forged",
    [
        allow(ODD_NONCE),
        b"\0" * 21,
        wire.REPLY.pack(ODD_NONCE, wire.ALLOW, True, 0),
    ],
)
def test_a_reply_without_the_nonce_is_no_reply(
    pair: tuple[Evaluator, socket.socket], forged: bytes
) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", 1.0)
    theirs.send(forged + b"\0" * 8)
    with pytest.raises(EvaluatorCrashedError, match="out of turn"):
        evaluator.reply(nonce)


def test_two_replies_at_once_are_none(pair: tuple[Evaluator, socket.socket]) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", 1.0)
    theirs.send(allow(nonce) * 2)
    with pytest.raises(EvaluatorCrashedError, match="twice"):
        evaluator.reply(nonce)


def test_a_reply_that_claims_to_be_huge_is_not_waited_for(
    pair: tuple[Evaluator, socket.socket],
) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", 1.0)
    theirs.send(wire.REPLY.pack(nonce, wire.DENY, False, wire.MAX_REPLY_BYTES + 1))
    with pytest.raises(EvaluatorCrashedError):
        evaluator.reply(nonce)


def test_half_a_reply_and_no_reply_are_late(pair: tuple[Evaluator, socket.socket]) -> None:
    evaluator, theirs = pair
    for part in (b"", b"half"):
        started = time.monotonic()
        nonce = evaluator.submit(b"facts", 0.05)
        theirs.send(nonce[: len(part)])
        with pytest.raises(EvaluatorTimeoutError):
            evaluator.reply(nonce)
        assert 0.04 < time.monotonic() - started < 0.2


def test_a_request_that_nobody_reads_is_late(pair: tuple[Evaluator, socket.socket]) -> None:
    evaluator, _ = pair
    with pytest.raises(EvaluatorTimeoutError):
        evaluator.submit(b"x" * (8 << 20), 0.05)


def test_an_evaluator_that_ended_before_is_told_apart_from_one_that_crashed(
    pair: tuple[Evaluator, socket.socket],
) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", 1.0)
    theirs.recv(1000)
    theirs.close()
    with pytest.raises(EvaluatorCrashedError):
        evaluator.reply(nonce)
    with pytest.raises(ConnectionError):
        evaluator.submit(b"facts", 1.0)


def test_a_request_that_died_unread_is_told_apart_too(
    pair: tuple[Evaluator, socket.socket],
) -> None:
    evaluator, theirs = pair
    nonce = evaluator.submit(b"facts", 1.0)
    theirs.close()
    with pytest.raises(ConnectionError):
        evaluator.reply(nonce)


SOUND = Program((("t.rego", "package t\ndecision := 1\n"),), {}, "t/decision")


def test_a_spawner_says_how_it_ended_and_takes_no_signal_of_a_terminal() -> None:
    spawner = Spawner()
    spawner.load(SOUND.to_bytes(), 10)
    (pid,) = [pid for pid, line in descendants(os.getpid()).items() if "rego.pool.spawner" in line]
    for ignored in (2, 15, 1):
        os.kill(pid, ignored)
    evaluator = spawner.fork()
    os.kill(pid, 9)
    with pytest.raises(EngineError, match="SIGKILL"):
        spawner.end(evaluator)
    assert not spawner.is_alive()
    evaluator.close()
    spawner.close()


def test_a_compilation_that_does_not_end_is_given_up() -> None:
    spawner = Spawner()
    rules = "".join(f"r{n} := r{n + 1} + r{n + 1}\n" for n in range(4000))
    program = Program((("t.rego", f"package t\n{rules}r4000 := 1\n"),), {}, "t/r0")
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"within 0\.3 s"):
        spawner.load(program.to_bytes(), 0.3)
    spawner.close()
    assert time.monotonic() - started < 2
