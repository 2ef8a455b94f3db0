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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg

from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.state.sqlite import SqliteState
from tests.bench import ARGUMENTS, ROLE
from tests.entering import enter_together
from tests.hammer import Sent, hammer
from tests.load import latency, posted
from tests.postgres import PostgresServer
from tests.processes import descendants
from tests.servers import RunningServer, serving, two_nodes

SESSIONS = int(os.environ.get("SCOPEBOUND_TEST_SESSIONS", "2000"))
SECONDS = float(os.environ.get("SCOPEBOUND_TEST_BENCH_SECONDS", "10"))
PROCESSES = (1, 2, 4, 8)
CONNECTIONS = 16
# As an installation has them; the other tests' servers trade safety for speed.
DURABLE = ("fsync=on", "full_page_writes=on", "shared_buffers=128MB")
_TICK = os.sysconf("SC_CLK_TCK")
_UNLIMITED = 1_000_000_000
_SETTINGS: dict[str, Any] = {"provision_per_minute": 1_000_000}


class Costs(NamedTuple):
    """Seconds, and what was spent in them: processor seconds, transactions, bytes written ahead."""

    seconds: float
    nodes: float
    database: float
    transactions: float
    bytes_ahead: float

    def since(self, before: "Costs") -> "Costs":
        """What was spent after an earlier moment."""
        return Costs(*(now - then for now, then in zip(self, before, strict=True)))

    def beyond(self, idle: "Costs") -> "Costs":
        """Without what idle nodes would have spent in as many seconds."""
        share = self.seconds / idle.seconds
        spent = (now - share * then for now, then in zip(self[1:], idle[1:], strict=True))
        return Costs(self.seconds, *spent)


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


def cpu_seconds(pid: int) -> float:
    """What a process and all below it have spent, those that ended included."""
    spent = 0
    for each in (pid, *descendants(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended since; its parent has its time
        spent += sum(map(int, fields[11:15]))
    return spent / _TICK


def main() -> None:
    """Measure each setting."""
    print(f"{SESSIONS} sessions; {os.cpu_count()} processors run nodes, database and load")
    for setting in settings():
        print(f"\n{setting.title}")
        measure(setting)


def settings() -> Iterator[Setting]:
    """The settings that are measured, one after the other."""
    for title, on_postgres in (
        ("SQLite, one node of four workers", None),
        ("PostgreSQL, one node of two workers", one_node),
        ("PostgreSQL, two nodes of two workers", two_nodes),
    ):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if on_postgres is None:
                node = stack.enter_context(serving(folder / "data", workers=4, **_SETTINGS))
                yield Setting(title, [node], None)
                continue
            postgres = PostgresServer(*DURABLE)
            stack.callback(postgres.close)
            nodes = on_postgres(folder, postgres.tcp_url(), **_SETTINGS)
            yield Setting(title, stack.enter_context(nodes), postgres)


@contextmanager
def one_node(folder: Path, database_url: str, **settings: Any) -> Iterator[list[RunningServer]]:
    """The like of `two_nodes`."""
    with serving(folder / "one", database_url=database_url, **settings) as node:
        yield [node]


def measure(setting: Setting) -> None:
    """Print what idling, provisioning, enforcing and entering cost."""
    with setting.nodes[0].client() as http:
        role_id = http.post("/mgmt/v1/roles", json=ROLE).raise_for_status().json()["id"]
    idle = idling(setting)
    print(
        f"{'':<26} {'calls/s':>8} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} "
        f"{'node µs':>8} {'db µs':>7} {'tx':>6} {'WAL bytes':>9}"
    )
    wish = ("", posted("/v1/provision", {"role_id": ROLE["name"]}))
    made = sending(setting, idle, "provision", [wish] * SESSIONS, 4)
    enforcing = calls([sent.said["jwt"] for sent in made])
    sending(setting, idle, "enforce", enforcing, CONNECTIONS)
    entries = [
        Entry(sent.said["session_id"], role_id, _UNLIMITED, _UNLIMITED, slots=4) for sent in made
    ]
    for processes in PROCESSES:
        entering(setting, idle, entries, processes)
    sizes(setting)


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
) -> list[Sent]:
    """Send requests over so many connections in all, and print what they cost.

    Those that were answered with 200.
    """
    before = setting.costs()
    done = hammer(setting.nodes, requests, lines=lines // len(setting.nodes))
    spent = setting.costs().since(before).beyond(idle)
    print(row(f"{name}, {lines} connections", [(s.begun, s.ended) for s in done], spent))
    outcomes = Counter(sent.outcome if sent.status == 200 else str(sent.status) for sent in done)
    if len(outcomes) > 1:
        print(f"    answers: {dict(outcomes)}")
    return [sent for sent in done if sent.status == 200]


def entering(setting: Setting, idle: Costs, entries: Sequence[Entry], processes: int) -> None:
    """Let processes enter the sessions themselves, and print what it cost."""
    before = setting.costs()
    done = enter_together(setting.state(), entries, processes)
    spent = setting.costs().since(before).beyond(idle)._replace(nodes=0)
    print(row(f"enter(), {processes} processes", [(e.begun, e.ended) for e in done], spent))
    if lost := sum(each.granted is None for each in done):
        print(f"    in {lost} of these state was out of reach")


def row(name: str, times: Sequence[tuple[float, float]], spent: Costs) -> str:
    """Calls that began and ended at these times, and what one of them cost."""
    took = max(ended for _, ended in times) - min(begun for begun, _ in times)
    p50, p99, most = (1000 * part for part in latency(ended - begun for begun, ended in times))
    nodes, database, transactions, ahead = (part / len(times) for part in spent[1:])
    return (
        f"  {name:<24} {len(times) / took:>8.0f} {p50:>7.2f} {p99:>7.2f} {most:>7.1f} "
        f"{nodes * 1e6:>8.0f} {database * 1e6:>7.0f} {transactions:>6.2f} {ahead:>9.0f}"
    )


def sizes(setting: Setting) -> None:
    """Print what a session takes on PostgreSQL's disk."""
    if setting.postgres is not None:
        durable, volatile = setting.ask(
            "SELECT pg_total_relation_size('sessions'), pg_total_relation_size('session_states')"
        )
        print(
            f"  a session takes {durable / SESSIONS:.0f} bytes in `sessions`, "
            f"{volatile / SESSIONS:.0f} in `session_states`"
        )


if __name__ == "__main__":
    main()
