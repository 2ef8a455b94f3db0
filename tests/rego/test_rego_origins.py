"""Which rules can deny with a code, as a pool learns it after it has started."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import EngineError
from scopebound_engine.rego.engine import compile_program
from scopebound_engine.rego.pool import wire
from scopebound_engine.rego.pool.children import Spawner
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.pool.teller import Places, Teller
from scopebound_engine.rego.program import Program
from tests.rego.pools import PROGRAM, started

MAIN = """package t
import rego.v1
import data.t.deny
decision := {"allow": false, "violations": [one | some one in deny.found]}
"""
DENY = """package t.deny
import rego.v1
found contains {"code": "ONE_LITERAL", "severity": "low", "reason": "r", "retry_guidance": "none"} \
if input.a

found contains {"code": "TWO_RULES", "severity": "low", "reason": "r", "retry_guidance": "none"} \
if input.b

found contains helped("BY_HELPER") if input.c

found contains helped(input.code) if input.e

helped(code) := {"code": code, "severity": "low", "reason": "r", "retry_guidance": "none"}

lost contains helped("NOT_GATHERED") if input.f
"""
MORE = """package t.deny
import rego.v1

found contains object if {
    input.d
    object := {"code": "TWO_RULES", "severity": "low", "reason": "s", "retry_guidance": "none"}
}
"""
# Of one name in several folders the engine itself knows only that name.
SAME_NAMES = Program(
    (("t/x.rego", MAIN), ("t/deny/x.rego", DENY), ("t/deny/more/x.rego", MORE)), {}, "t/decision"
)


def test_each_code_has_the_places_of_all_its_rules() -> None:
    assert compile_program(SAME_NAMES).origins() == {
        "ONE_LITERAL": ["t/deny/x.rego:3"],
        "TWO_RULES": ["t/deny/more/x.rego:6", "t/deny/x.rego:5"],
        "BY_HELPER": ["t/deny/x.rego:7"],
    }


def test_every_code_of_the_shipped_rules_has_its_file() -> None:
    folder = SHIPPED / "policies"
    modules = {
        str(file.relative_to(folder)): file.read_text()
        for file in sorted(folder.rglob("*.rego"))
        if not file.name.endswith("_test.rego")
    }
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    config = json.loads((folder / "scopebound/config/data.json").read_text())
    data = {"scopebound": {"config": config}}
    found = compile_program(Program(tuple(modules.items()), data, manifest["entrypoint"])).origins()
    assert found.keys() == {one["code"] for one in manifest["deny_codes"]}
    for code, places in found.items():
        for place in places:
            file, _, line = place.rpartition(":")
            assert Path(file).stem == code.lower()
            rule = modules[file].split("\n")[int(line) - 1]
            assert rule.startswith(("violation contains", "rate_denial :="))


def test_a_pool_knows_them_once_it_has_started() -> None:
    pool = EvaluatorPool(SAME_NAMES, size=1, evaluation_seconds=1.0, codes={"BY_HELPER": "low"})
    assert pool.origins() == {}
    with pytest.raises(EngineError, match="no verdict on an empty input"):
        pool.start(10)
    with started(size=1) as running:
        assert running.pool.origins(10) == {"NOT_GRANTED": ("t.rego:5", "t.rego:9")}


def test_who_needs_them_while_they_are_sought_waits_for_them_but_not_for_long() -> None:
    places, liar = Places(b"a program"), _Liar(b'{"A_CODE":["a.rego:1"]}')
    teller = places.sought(liar)
    assert teller is not None
    assert places.known(0.01) == {}
    settling = threading.Timer(0.05, lambda: places.settle(teller.told()))
    settling.start()
    while not teller.has_ended():
        pass
    assert places.known(10) == {"A_CODE": ("a.rego:1",)}


def test_nobody_waits_for_a_teller_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ORIGINS_SECONDS", 0.1)
    places = Places(b"another program")
    assert places.sought(_Liar(b"")) is not None
    began = time.monotonic()
    assert places.known(60) == {}
    assert places.known(60) == {}
    assert time.monotonic() - began < 5


def test_a_teller_that_fails_tells_nothing() -> None:
    spawner = Spawner()
    spawner.load(PROGRAM.to_bytes(), 10)
    try:
        teller = Teller(spawner)
        os.kill(teller.pid, signal.SIGKILL)
        assert teller.told() == {}
        assert spawner.is_alive()
    finally:
        spawner.close()


@pytest.mark.parametrize("told", [b"", b"[]", b'{"A": 1}', b'{"A": [1]}', b"{", b'{"A":["x"'])
def test_what_is_no_list_of_places_is_none(told: bytes) -> None:
    assert Teller(_Liar(told)).told() == {}


def test_the_same_program_is_looked_at_once() -> None:
    program = b"only its hash counts"
    places, found = Places(program), {"A_CODE": ("a.rego:1",)}
    assert places.sought(_Liar(b"")) is not None
    places.settle({})
    assert places.sought(_Liar(b"")) is not None
    places.settle(found)
    again = Places(program)
    assert again.sought(_Liar(b"")) is None
    assert again.known(0) == found


class _Liar(Spawner):
    """Forks nothing: what would be told is there already."""

    def __init__(self, told: bytes) -> None:
        self.told = told

    def forked(self, command: bytes) -> tuple[int, socket.socket]:
        assert command == wire.TELL
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(self.told)
        return 0, ours

    def end(self, forked: object) -> str:
        return "ended"
