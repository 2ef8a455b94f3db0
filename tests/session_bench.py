"""`make bench-sessions`: what sessions cost the database that they share. Prints, asserts nothing.

One machine runs nodes, database and load: the rates are what these leave each other. What several
machines would do is told by the processor time that a call costs each of them.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.state.sqlite import SqliteState
from tests.bench import ARGUMENTS, DURABLE, ROLE
from tests.costs import Costs, cpu_seconds
from tests.entering import enter_together
from tests.hammer import Sent, hammer
from tests.load import latency, posted
from tests.postgres import PostgresServer
from tests.servers import RunningServer, serving, two_nodes

SESSIONS = int(os.environ.get("SCOPEBOUND_TEST_SESSIONS", "2000"))
SECONDS = float(os.environ.get("SCOPEBOUND_TEST_BENCH_SECONDS", "10"))
PROCESSES = (1, 4, 8)
CONNECTIONS = 16
# What is told on paper: so many nodes, each with so many processors and connections.
NODES, PROCESSORS, CONNECTED = (2, 10, 100), 2, 36
_UNLIMITED = 1_000_000_000
_SETTINGS: dict[str, Any] = {"provision_per_minute": 1_000_000}


@dataclass(frozen=True)
class Setting:
    """Nodes with sessions on one database: `postgres`, or else SQLite."""

    title: str
    nodes: Sequence[RunningServer]
    postgres: PostgresServer | None

    def state(self) -> Callable[[], SessionState]:
        """Opens the state that the nodes share."""
        if self.postgres is None:
            return partial(SqliteState, self.nodes[0].data_dir)
        return partial(PostgresState, self.postgres.tcp_url())

    def ask(self, question: LiteralString) -> list[Any]:
        """A row of what PostgreSQL says; zeros for SQLite."""
        if self.postgres is None:
            return [0] * 9
        with psycopg.connect(self.postgres.url()) as connection:
            return list(connection.execute(question).fetchone() or ())

    def costs(self) -> Costs:
        """What was spent up to now."""
        if self.postgres is not None:
            time.sleep(1.1)  # its processes tell of their transactions once a second
        transactions, ahead, *_ = self.ask(
            "SELECT xact_commit + xact_rollback, pg_current_wal_insert_lsn() - '0/0' "
            "FROM pg_stat_database WHERE datname = current_database()"
        )
        nodes = sum(cpu_seconds(node.process.pid) for node in self.nodes)
        database = cpu_seconds(self.postgres.postmaster()) if self.postgres else 0.0
        return Costs(time.monotonic(), nodes, database, transactions, float(ahead))


def main() -> None:
    """Measure each setting."""
    print(f"{os.cpu_count()} processors run nodes, database and load; a row takes {SECONDS:g} s")
    for setting in settings():
        print(f"\n{setting.title} (load average {os.getloadavg()[0]:.1f} before)", flush=True)
        measure(setting)


def settings() -> Iterator[Setting]:
    """The settings that are measured, one after the other."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node = stack.enter_context(serving(folder / "data", workers=4, **_SETTINGS))
        yield Setting("SQLite, one node of four workers", [node], None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = PostgresServer(*DURABLE)
        stack.callback(postgres.close)
        nodes = stack.enter_context(two_nodes(folder, postgres.tcp_url(), **_SETTINGS))
        yield Setting("PostgreSQL, two nodes of two workers", nodes, postgres)


def measure(setting: Setting) -> None:
    """Print what idling, provisioning, enforcing and entering cost; first with few sessions."""
    with setting.nodes[0].client() as http:
        role_id = http.post("/mgmt/v1/roles", json=ROLE).raise_for_status().json()["id"]
    idle = idling(setting)
    print(
        f"{'':<26} {'calls/s':>8} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} {'node µs':>8} "
        f"{'db µs':>7} {'tx':>5} {'WAL bytes':>9} {'db load':>8} {'tx/s':>6}"
    )
    wish = ("", posted("/v1/provision", {"role_id": ROLE["name"]}))
    made: list[Sent] = []
    for sessions in (SESSIONS // 10, SESSIONS):
        wishes = [wish] * (sessions - len(made))
        made += sending(setting, idle, f"provision, to {sessions:,}", wishes, CONNECTIONS)[0]
        tokens = [sent.said["jwt"] for sent in made]
        name = f"enforce, {len(made):,} sessions"
        _, call = sending(setting, idle, name, calls(tokens), CONNECTIONS)
    sending(setting, idle, "enforce, one session", calls(tokens[:1]), CONNECTIONS)
    entries = [
        Entry(sent.said["session_id"], role_id, _UNLIMITED, _UNLIMITED, slots=4) for sent in made
    ]
    for processes in PROCESSES:
        entering(setting, idle, entries, processes)
    if setting.postgres is not None:
        sizes(setting, len(made))
        on_paper(idle.each(idle.seconds * len(setting.nodes)), call)


def idling(setting: Setting) -> Costs:
    """What nodes spend that nobody calls."""
    before = setting.costs()
    time.sleep(SECONDS)
    idle = setting.costs().since(before)
    [connections, *_] = setting.ask(
        "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    print(
        f"  idle: nodes {idle.nodes / idle.seconds:.1%} of a processor, database "
        f"{idle.database / idle.seconds:.1%}, {idle.transactions / idle.seconds:.0f} transactions "
        f"and {idle.bytes_ahead / idle.seconds:.0f} bytes written ahead a second, "
        f"{connections} connections"
    )
    return idle


def calls(tokens: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Calls of sessions taken at random, for SECONDS."""
    chosen, end = random.Random(1), time.monotonic() + SECONDS
    body = {"tool_name": "read_invoices", "call_args": ARGUMENTS}
    while time.monotonic() < end:
        yield "", posted("/v1/enforce", {"jwt": chosen.choice(tokens), **body})


def sending(
    setting: Setting, idle: Costs, name: str, requests: Iterable[tuple[str, bytes]], lines: int
) -> tuple[list[Sent], Costs]:
    """Send requests over so many connections in all, and print what they cost.

    Those that were answered with 200, and what one of all cost.
    """
    before = setting.costs()
    done = hammer(setting.nodes, requests, lines=lines // len(setting.nodes))
    spent = setting.costs().since(before).beyond(idle).each(len(done))
    print(row(name, [(sent.begun, sent.ended) for sent in done], spent), flush=True)
    outcomes = Counter(sent.outcome if sent.status == 200 else str(sent.status) for sent in done)
    if len(outcomes) > 1:
        print(f"    answers: {dict(outcomes)}")
    return [sent for sent in done if sent.status == 200], spent


def entering(setting: Setting, idle: Costs, entries: Sequence[Entry], processes: int) -> None:
    """Let processes enter the sessions themselves, and print what it cost."""
    before = setting.costs()
    done = enter_together(setting.state(), entries, processes)
    spent = setting.costs().since(before).beyond(idle)._replace(nodes=0).each(len(done))
    times = [(each.begun, each.ended) for each in done]
    print(row(f"enter(), {processes} processes", times, spent), flush=True)
    if lost := sum(each.granted is None for each in done):
        print(f"    in {lost} of these state was out of reach")


def row(name: str, times: Sequence[tuple[float, float]], spent: Costs) -> str:
    """Calls that began and ended at these times, and what one of them cost."""
    took = max(ended for _, ended in times) - min(begun for begun, _ in times)
    rate = len(times) / took
    p50, p99, most = (1000 * part for part in latency(ended - begun for begun, ended in times))
    return (
        f"  {name:<24} {rate:>8.0f} {p50:>7.2f} {p99:>7.2f} {most:>7.1f} {spent.nodes * 1e6:>8.0f} "
        f"{spent.database * 1e6:>7.0f} {spent.transactions:>5.2f} {spent.bytes_ahead:>9.0f} "
        f"{spent.database * rate:>8.1%} {spent.transactions * rate:>6.0f}"
    )


def sizes(setting: Setting, sessions: int) -> None:
    """Print what a session takes on PostgreSQL's disk, indexes included."""
    durable, volatile = setting.ask(
        "SELECT pg_total_relation_size('sessions'), pg_total_relation_size('session_states')"
    )
    print(
        f"  a session takes {durable / sessions:.0f} bytes in `sessions`, "
        f"{volatile / sessions:.0f} in `session_states`"
    )


def on_paper(idle: Costs, call: Costs) -> None:
    """Print what nodes that are full would ask of one PostgreSQL, if all costs stayed as they are.

    `idle` is what one node spends in a second that nobody calls, `call` what one call costs.
    """
    print(f"  on paper, with nodes of {PROCESSORS} processors that do nothing else:")
    for nodes in NODES:
        rate = nodes * PROCESSORS / call.nodes
        _, _, database, transactions, ahead = (
            nodes * still + rate * each for still, each in zip(idle, call, strict=True)
        )
        print(
            f"    {nodes:>3} nodes: {rate:>6.0f} calls/s, {database:.1f} processors of PostgreSQL "
            f"({nodes * idle.database:.1f} idle), {transactions:.0f} transactions and "
            f"{ahead / 1e6:.2f} MB written ahead a second, {nodes * CONNECTED} connections at most"
        )


if __name__ == "__main__":
    main()
