"""`make bench-log`: what reading a decision log of a million records takes. Asserts nothing.

The records of the last week are stored by the shippers of one node on SQLite, of three on
PostgreSQL, which was vacuumed then, as it is by itself every minute. Then a server reads them for a
client over HTTP.
"""

import json
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import Engine

from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.database.log_tables import HOUR_US
from scopebound_engine.log.analytics import Analytics
from scopebound_engine.log.record import new_id
from scopebound_engine.log.segments import listing, path
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.preparation import open_migrated
from tests.journals import Written
from tests.load import latency
from tests.postgres import PostgresServer
from tests.processes import children
from tests.servers import RunningServer, make_prepared, serving

ROWS = int(os.environ.get("SCOPEBOUND_TEST_ROWS", "1000000"))
LINE_BYTES = 2_500
ROLES, TOOLS, SESSIONS = 20, 200, 10_000
WEEK_US = 168 * HOUR_US
CODES = ("SCOPE_VIOLATION", "PARAMETER_VIOLATION", "RATE_LIMIT_EXCEEDED", "ENV_VIOLATION")
# Some denied calls are of tools that models made up.
DENIED, MADE_UP = 0.15, 0.05
REPEATS, WINDOWS, PAGES = 30, 200, 10
_BATCH = 2_000
_SEGMENT = 50_000


@dataclass(frozen=True)
class Filled:
    """A server whose database holds the records."""

    title: str
    server: RunningServer
    engine: Engine


def main() -> None:
    """Fill and measure each database that is named, or both."""
    for name in sys.argv[1:] or ("sqlite", "postgresql"):
        with (sqlite if name == "sqlite" else postgresql)() as filled:
            print(f"\n{filled.title}, load average {os.getloadavg()[0]:.1f}", flush=True)
            usage(filled)
            pages(filled)
            export(filled)


@contextmanager
def sqlite() -> Iterator[Filled]:
    """A node with its own database."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        make_prepared(data_dir)
        engine = open_database(None, data_dir)
        fill(engine, Path(folder), nodes=1)
        with serving(data_dir, workers=1) as server:
            yield Filled("SQLite", server, engine)
        engine.dispose()


@contextmanager
def postgresql() -> Iterator[Filled]:
    """A node on a PostgreSQL with its usual memory."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = PostgresServer("shared_buffers=128MB")
        stack.callback(postgres.close)
        url = postgres.tcp_url()
        engine = open_migrated(Config.model_validate({"data_dir": folder, "database_url": url}))
        fill(engine, folder, nodes=3)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) decisions, call_counts, denied_tools")
        server = stack.enter_context(serving(folder / "data", database_url=url, workers=1))
        yield Filled("PostgreSQL", server, engine)
        engine.dispose()


def fill(engine: Engine, folder: Path, nodes: int) -> None:
    """Ship the records of all nodes, whose journals are cut off as they are shipped."""
    began, chosen = time.monotonic(), random.Random(1)
    start_us = time.time_ns() // 1_000 - WEEK_US
    journals = [Written(folder / f"log-{number}", f"node-{number}") for number in range(nodes)]
    shippers = [Shipper(engine, one.folder, one.node) for one in journals]
    for first in range(0, ROWS, _BATCH * nodes):
        for place, (journal, shipper) in enumerate(zip(journals, shippers, strict=True)):
            numbers = range(first + place, min(first + _BATCH * nodes, ROWS), nodes)
            times = [start_us + number * WEEK_US // ROWS for number in numbers]
            journal.append(*(record(chosen, at_us) for at_us in times))
            while shipper.ship():
                pass
            forget(journal)
    seconds = time.monotonic() - began
    print(
        f"{ROWS:,} records of {LINE_BYTES:,} bytes shipped at {ROWS / seconds:,.0f}/s", flush=True
    )


def forget(journal: Written) -> None:
    """What was shipped need not be kept."""
    journal.lines.clear()
    # The last one has the line that was shipped last, which shippers look for.
    for first in listing(journal.folder)[:-1]:
        path(journal.folder, first).unlink()
    if journal.seq - journal.segment >= _SEGMENT:
        journal.rotate()


def record(chosen: random.Random, at_us: int) -> Mapping[str, Any]:
    """A call as long as real ones are; some tools and sessions come up much more often."""
    tool = f"tool-{int(TOOLS * chosen.random() ** 3)}"
    role, session = chosen.randrange(ROLES), int(SESSIONS * chosen.random() ** 2)
    verdict = "deny" if chosen.random() < DENIED else "allow"
    made: dict[str, Any] = {
        "id": new_id(at_us),
        "at_us": at_us,
        "event": f"tool_call.{verdict}",
        "decision": verdict,
        "tool_name": tool,
        "call_id": f"{chosen.getrandbits(128):032x}",
        "session": {"id": f"session-{session}"},
        "role": {"id": role_id(role), "name": f"role-{role}", "revision": 1},
        "request": {"id": f"{chosen.getrandbits(128):032x}", "api_key_id": f"key-{role}"},
        "bundle": {"checksum": "c" * 64},
    }
    if verdict == "deny":
        made["deny_code"] = chosen.choice(CODES)
        if chosen.random() < MADE_UP:
            made["tool_name"] = f"made-up-{chosen.getrandbits(32)}"
    return made | {"input": "x" * (LINE_BYTES - len(json.dumps(made)) - 200)}


def role_id(role: int) -> str:
    """A UUID."""
    return f"00000000-0000-4000-8000-{role:012d}"


def usage(filled: Filled) -> None:
    """Windows that end now over HTTP, and windows anywhere as the server asks for them."""
    with filled.server.client() as http:
        for hours in (1, 24, 168):
            show(f"analytics, last {hours} h, HTTP", timed(http, "analytics", window_hours=hours))
    chosen, analytics = random.Random(2), Analytics(filled.engine, time.time)
    now_us = time.time_ns() // 1_000
    for hours in (1, 24, 168):
        taken = []
        for _ in range(WINDOWS):
            to_us = now_us - chosen.randrange(WEEK_US)
            began = time.perf_counter()
            analytics.between(to_us - hours * HOUR_US, to_us)
            taken.append(time.perf_counter() - began)
        show(f"analytics, any {hours} h", taken)


def pages(filled: Filled) -> None:
    """The first page of every filter, and the tenth."""
    with filled.server.client() as http:
        one = http.get("/mgmt/v1/decisions", params={"limit": 1}).json()["decisions"][0]["record"]
        for name, asked in filters(one).items():
            cursor, deep = "", list[float]()
            for _ in range(PAGES):
                began = time.perf_counter()
                answer = http.get("/mgmt/v1/decisions", params=asked | cursor_of(cursor))
                deep = [time.perf_counter() - began]
                cursor = answer.raise_for_status().json()["next"]
                if cursor is None:
                    break
            show(f"decisions, {name}", timed(http, "decisions", REPEATS // 5, **asked), deep)
        show("decisions/{id}", timed(http, f"decisions/{one['id']}"))


def filters(one: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What is asked for, by what is printed."""
    middle = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 84 * 3_600))
    return {
        "all": {},
        "decision": {"decision": "deny"},
        "event": {"event": "tool_call.deny"},
        "event, of none": {"event": "role.created"},
        "deny_code": {"deny_code": CODES[0]},
        "tool_name, the most usual": {"tool_name": "tool-0"},
        "tool_name, of none": {"tool_name": "none"},
        "role, by its name": {"role": "role-3"},
        "role, by its id": {"role": role_id(3)},
        "session_id": {"session_id": "session-9000"},
        "session_id and tool_name": {"session_id": "session-9000", "tool_name": "tool-0"},
        "tool_name and decision": {"tool_name": "tool-0", "decision": "deny"},
        "call_id": {"call_id": str(one["call_id"])},
        "request_id": {"request_id": one["request"]["id"]},
        "api_key_id": {"api_key_id": "key-3"},
        "node": {"node": "node-0"},
        "node, of none": {"node": "none"},
        "until the middle": {"until": middle},
        "session_id until the middle": {"session_id": "session-9000", "until": middle},
    }


def export(filled: Filled) -> None:
    """How fast the week is sent, and how large the server's processes become."""
    for form, hours in (("jsonl", 168), ("json", 24), ("csv", 24)):
        size, records, began = 0, 0, time.perf_counter()
        with watching(filled.server) as memory, filled.server.client() as http:
            parameters = {"format": form, "window_hours": str(hours)}
            with http.stream("GET", "/mgmt/v1/audit/export", params=parameters) as answer:
                answer.raise_for_status()
                for piece in answer.iter_raw():
                    size += len(piece)
                    records += piece.count(b"\n")
        seconds = time.perf_counter() - began
        print(
            f"  export of {hours} h as {form}: {size / 1e6:,.0f} MB, "
            f"{size / seconds / 1e6:.1f} MB/s, {records / seconds:,.0f} records/s; "
            f"the largest process had {memory[0]:.0f} MB before, {max(memory):.0f} MB at most",
            flush=True,
        )


@contextmanager
def watching(server: RunningServer) -> Iterator[list[float]]:
    """The size in MB of the largest of the server's processes, a few times a second."""
    sizes, ended = [largest(server)], threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            sizes.append(largest(server))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sizes
    finally:
        ended.set()
        thread.join()


def largest(server: RunningServer) -> float:
    """The resident megabytes of the server's largest process."""
    sizes = [0.0]
    for pid in (server.process.pid, *children(server.process.pid)):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue  # it has just ended
        if found := re.search(r"VmRSS:\s+(\d+) kB", status):
            sizes.append(int(found[1]) / 1_000)
    return max(sizes)


def timed(http: httpx.Client, resource: str, times: int = REPEATS, **asked: object) -> list[float]:
    """The seconds that so many answers take, after a first one."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        http.get(f"/mgmt/v1/{resource}", params=_texts(asked)).raise_for_status()
        taken.append(time.perf_counter() - began)
    return taken[1:]


def cursor_of(cursor: str) -> dict[str, str]:
    """The parameter of the next page; none for the first one."""
    return {"cursor": cursor} if cursor else {}


def show(name: str, taken: list[float], deep: list[float] | None = None) -> None:
    """Print milliseconds; of pages also those of the last one that was asked for."""
    p50, p99, most = (seconds * 1_000 for seconds in latency(taken))
    last = f", page {PAGES} or the last {deep[0] * 1_000:.1f}" if deep else ""
    print(f"  {name:<36} p50 {p50:7.1f}  p99 {p99:7.1f}  max {most:7.1f} ms{last}", flush=True)


def _texts(asked: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in asked.items()}


if __name__ == "__main__":
    main()
