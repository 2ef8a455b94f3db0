"""Whatever is killed under load, what was answered is in the decision log once, as it was answered.

While calls come in, a worker, an evaluator, whoever ships the log, the gunicorn master, the whole
node or PostgreSQL is killed with -9. Every answer that arrived is then in the journal once, whose
chain is whole, and in the database once; /metrics has counted it, and analytics count what the
journal has. SCOPEBOUND_TEST_FAULTS=100 makes it long, SCOPEBOUND_TEST_SEED repeats one.
"""

import json
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, func, select

from scopebound_engine.database.engine import open_database, reading
from scopebound_engine.database.log_tables import decisions
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.log import batches, chain, log_keys, segments
from scopebound_engine.log.analytics import Analytics
from scopebound_engine.log.sources import sources
from scopebound_engine.log.verify import verify
from tests.load import PLAIN, Answer, Load, latency, posted
from tests.servers import RunningServer
from tests.victims import Node
from tests.watching import assert_counted, is_signed, is_well, metrics, until

LONG = os.environ.get("SCOPEBOUND_TEST_FAULTS")
ROUNDS = int(LONG or "15")
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
# Where the machine is slower than the rate, what cannot be sent in time is left out.
RATE, LINES = 500, 24
KILL_SECONDS, SHIPPED_SECONDS = (0.2, 1.0), 60.0
# What a killed candidate was refused for is named for a minute.
WELL_SECONDS = 90.0
# Where the machine is slower than this, a campaign that is not long has fewer rounds: of those that
# take long, which come last.
ROUND_SECONDS, RESTARTED = 3.5, ("master", "node")
PATIENT = {"evaluation_deadline_ms": 900, "total_deadline_ms": 1900}
FORGED = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZ2VudDpub2JvZHkifQ.AAAA"


class Said(NamedTuple):
    """What an answer and its record agree on."""

    decision: str
    code: str | None
    call_id: str
    replayed: bool


class Calls(Load):
    """Calls of every kind, among them such as come again with the id of one that was sent."""

    def __init__(self, servers: Sequence[RunningServer]) -> None:
        super().__init__(servers, RATE, sessions=1, lines=LINES, waiting=LINES)
        with servers[0].client() as http:
            made = http.post("/v1/provision", json={"role_id": "load"}).json()
        plain = {"jwt": made["jwt"], "tool_name": PLAIN, "call_args": {"text": "ü\n\"'" * 9}}
        self._kinds: Sequence[tuple[str, str, dict[str, Any]]] = (
            ("plain", "/v1/enforce", plain),
            ("named", "/v1/enforce", plain),
            ("again", "/v1/enforce", plain),
            ("strange tool", "/v1/enforce", {**plain, "tool_name": "strange"}),
            ("named", "/v1/enforce", plain),
            ("over MCP", "/v1/mcp/enforce", {**plain, "mcp_server": "files"}),
            ("forged", "/v1/enforce", {**plain, "jwt": FORGED}),
            ("unfit", "/v1/enforce", {"jwt": made["jwt"], "call_args": {}}),
        )

    def _request(self, number: int) -> tuple[str, bytes]:
        turn, place = divmod(number, len(self._kinds))
        kind, path, document = self._kinds[place]
        if kind == "named":
            document = {**document, "call_id": f"call-{number}"}
        if kind == "again":
            document = {**document, "call_id": f"call-{max(0, turn - 5) * len(self._kinds) + 1}"}
        return kind, posted(path, document)


@pytest.fixture(params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    on_sqlite = request.param == "sqlite"
    postgres = None if on_sqlite else request.getfixturevalue("own_postgres")
    # Segments as small as to follow one another all the time.
    made = Node(tmp_path / "data", postgres, {**PATIENT, "log_segment_bytes": 1 << 20})
    made.start()
    yield made
    made.stop()


def test_after_any_kill_what_was_answered_is_in_the_log_once(node: Node) -> None:
    rng = random.Random(SEED)
    print(f"\nSCOPEBOUND_TEST_SEED={SEED}")
    history = under_fire(node, rng)
    engine = open_database(node.postgres.url() if node.postgres else None, node.data_dir)
    wait_until_shipped(node, engine)
    until(lambda: is_well(node.server) and is_signed(node.server), WELL_SECONDS)
    counted = metrics(node.server)
    node.stop()
    report = verify(sources([node.data_dir / "log"]), [own_key(node)])
    stored = compared(node, engine)
    answered = acknowledged(history)
    agree = {one: said for one, said in answered.items() if stored.get(one) == [said]}
    lost = sum(one not in stored for one in answered)
    duplicated = sum(len(records) > 1 for records in stored.values())
    a_second = Counter(int(each.ended) for each in history if each.status)
    print(f"up to {max(a_second.values())} answers a second; {Counter(map(outcome, history))}")
    print(f"answered in {latency(each.ended - each.begun for each in history if each.status)}")
    print(f"{report.checked}, {len(segments.listing(node.data_dir / 'log'))} segments")
    print(f"seed {SEED}: acknowledged {len(answered)}, lost {lost}, duplicated {duplicated}")
    assert (lost, duplicated) == (0, 0)
    assert agree.keys() == answered.keys()
    assert not report.flaws
    assert report.checked[0].proven == report.checked[0].last, "the checkpoints are behind"
    assert_counted(counted, history)
    recorded = [said for records in stored.values() for said in records]
    # Who was killed between the two had recorded a call and not counted it.
    assert counted.decisions <= Counter(said.code or "allow" for said in recorded)
    assert counted["evaluator_restarts_total"] >= node.evaluators_killed
    usage = Analytics(engine, time.time).usage(window_hours=24)
    calls = Counter(said.decision for said in recorded if not said.replayed)
    assert (usage.allowed, usage.denied) == (calls["allow"], calls["deny"])


def under_fire(node: Node, rng: random.Random) -> list[Answer]:
    """All answers while one thing after the other is killed."""
    victims = node.victims() | {"shipper": node.kill_shipper}
    rounds = ROUNDS // 3 if node.postgres is None else ROUNDS - ROUNDS // 3
    order = [list(victims)[number % len(victims)] for number in range(rounds)]
    rng.shuffle(order)
    if not LONG:
        order.sort(key=RESTARTED.__contains__)
    servers = [node.server]
    with Calls(servers) as calls:
        began = time.monotonic()
        for number, victim in enumerate(order):
            if not LONG and time.monotonic() > began + rounds * ROUND_SECONDS:
                print(f"no time for {rounds - number} rounds")
                break
            time.sleep(rng.uniform(*KILL_SECONDS))
            victims[victim](rng)
            servers[0] = node.server
            node.wait_until_recovered()
            until(lambda: has_replaced(node))
            print(f"{time.monotonic() - began:5.1f} s, round {number}: {victim} killed")
        time.sleep(KILL_SECONDS[0])
    return calls.history


def has_replaced(node: Node) -> bool:
    """Whether all evaluators that were killed were replaced, as far as is counted."""
    return metrics(node.server)["evaluator_restarts_total"] >= node.evaluators_killed


def acknowledged(history: Sequence[Answer]) -> dict[str, Said]:
    """What was answered, by the record that each answer names."""
    found = {}
    for answer in history:
        if not answer.status:
            continue
        said = json.loads(answer.body)
        assert answer.status == 200, said
        if "decision_id" not in said:
            # What could not be recorded is denied; nobody relies on that in an audit.
            assert said["deny_code"] == "POLICY_ERROR", said
            continue
        found[said["decision_id"]] = _said(said, said.get("deny_code"))
    return found


def compared(node: Node, engine: Engine) -> dict[str, list[Said]]:
    """The decisions of the log by their ids; the database has the lines of the journal, in order.

    Those that were written since all was shipped it may not have.
    """
    found: dict[str, list[Said]] = {}
    asked = select(decisions.c.seq, decisions.c.id, decisions.c.line).order_by(decisions.c.seq)
    journal = segments.lines(node.data_dir / "log", segments.START)
    with reading(engine) as connection:
        for seq, id_, text in connection.execute(asked.execution_options(yield_per=1_000)):
            line, _ = next(journal)
            link = chain.split(line)
            assert (text, seq) == (line.decode(), link.seq)
            record = json.loads(link.record)
            assert record["id"] == id_
            if "decision" in record and record["event"] != "answer.late":
                said = _said(record, record.get("deny_code"))
                found.setdefault(id_, []).append(said)
    for line, _ in journal:
        assert "decision" not in json.loads(line)["record"], "shipped it was all"
    return found


def wait_until_shipped(node: Node, engine: Engine) -> None:
    deadline, missing = time.monotonic() + SHIPPED_SECONDS, -1
    while missing and time.monotonic() < deadline:
        time.sleep(0.2)
        last = batches.last_number(node.data_dir / "log")
        try:
            with reading(engine) as connection:
                missing = last - (connection.scalar(select(func.max(decisions.c.seq))) or 0)
        except DatabaseUnavailableError:
            continue
    assert not missing, f"{missing} lines were not shipped\n{node.server.log.read_text()[-4000:]}"


def own_key(node: Node) -> Any:
    name = (node.data_dir / "node-id").read_text().strip()
    return log_keys.read(node.data_dir, name).verifier


def outcome(answer: Answer) -> str:
    said = answer.decision
    return str(said.get("deny_code") or said.get("decision") or answer.status)


def _said(fields: dict[str, Any], code: str | None) -> Said:
    return Said(fields["decision"], code, fields["call_id"], bool(fields.get("replayed")))
