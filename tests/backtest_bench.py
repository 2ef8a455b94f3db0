"""`make bench-backtest`: 100,000 recorded decisions decided again; the candidate flips 100 of them.

Records are those of a real service, varied; the candidate is the shipped policy and a rule that
denies one tool. Printed are seconds, those of the processors, and the memory of the largest
process, for a tenth of the records and for all. Asserts that what flips is found, and nothing else.
Then what a backtest on a server costs those who ask it for decisions meanwhile.
"""

import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import archive
from scopebound_engine.log.record import new_id
from tests.api.clocked import Agent, Service, clocked_service
from tests.bundles import MARKED, bundle_files
from tests.load import Load, latency
from tests.processes import children
from tests.recording import records_of
from tests.servers import make_prepared, serving

RECORDS = int(os.environ.get("SCOPEBOUND_TEST_RECORDS", "100000"))
FLIPS = 100
RATE, BESIDE_SECONDS = 50, 10.0


def main() -> None:
    """Make the records, and decide a tenth of them and all of them again."""
    with tempfile.TemporaryDirectory() as folder:
        templates = recorded(Path(folder))
        candidate = Path(folder) / "candidate.tar.gz"
        candidate.write_bytes(archive.write(bundle_files("1.1.0", denies=True)))
        for number in (RECORDS // 10, RECORDS):
            export = Path(folder) / f"{number}.jsonl"
            size = write(export, templates, number)
            print(f"{number:>9,} records, {size / 1e6:,.0f} MB, ", end="", flush=True)
            measure(candidate, export, number)
            export.unlink()
        beside(Path(folder))


def beside(folder: Path) -> None:
    """What calls wait for while a server backtests, against what they wait otherwise."""
    data_dir = folder / "server"
    make_prepared(data_dir)
    with serving(data_dir) as server, Load([server], RATE) as load, server.client() as http:
        time.sleep(BESIDE_SECONDS)  # these become the decisions that are decided again
        bundle_id = http.get("/mgmt/v1/bundles").json()["versions"][0]["id"]
        alone = time.monotonic()
        time.sleep(BESIDE_SECONDS)
        begun, reports = time.monotonic(), []
        while time.monotonic() < begun + BESIDE_SECONDS:
            answer = http.post(f"/mgmt/v1/bundles/{bundle_id}/backtest", timeout=120)
            reports.append(answer.raise_for_status().json()["decided"])
        ended = time.monotonic()
    quiet = latency(one.latency for one in load.since(alone, begun))
    busy = latency(one.latency for one in load.since(begun, ended))
    print(
        f"enforce at {RATE}/s: {quiet}; while {len(reports)} backtests of {max(reports):,} "
        f"decisions run: {busy}; p99 {busy.p99 / quiet.p99:.1f} times, "
        f"load average {os.getloadavg()[0]:.1f}"
    )


def recorded(folder: Path) -> list[dict[str, Any]]:
    """What a service records of two roles: mostly allows, and denials of several kinds."""
    with clocked_service(folder, None) as service:
        for agent in (payments(service), support(service)):
            for number in range(60):
                agent.call("payments.read", {"env": "prod", "limit": number, "customer": "c-17"})
                agent.call("payments.refund", {"env": "prod", "amount": number, "iban": "DE12345"})
                agent.call("crm.lookup", {"env": "staging", "query": f"name like '%{number}%'"})
                agent.call("mail.send", {"to": "a@example.com", "body": "Your order " * 10})
                if number % 3 == 0:
                    agent.call("payments.refund", {"env": "prod", "amount": 900, "iban": "FR1"})
                if number % 5 == 0:
                    agent.call("files.delete", {"env": "test", "limit": 5_000})
            agent.call(MARKED, {"env": "prod"})
        return [one for one in records_of(service.services.config.data_dir) if "input" in one]


def payments(service: Service) -> Agent:
    """A session with constraints and limits."""
    tools = ("payments.refund", "payments.read", "crm.lookup", "mail.send", MARKED)
    constraints = [
        {"field": "amount", "operator": "lt", "value": 500},
        {"field": "iban", "operator": "regex", "value": "^DE[0-9]+$"},
    ]
    return service.session(
        service.role(
            *tools,
            parameter_constraints={"payments.refund": constraints},
            data_scope={"allowed_envs": ["prod", "staging"], "max_rows": 1_000},
            rate_limit_per_minute=10_000,
            rate_limit_per_hour=100_000,
        )
    )


def support(service: Service) -> Agent:
    """A session of a plain role."""
    return service.session(
        service.role("payments.read", "payments.refund", "crm.lookup", "mail.send", MARKED)
    )


def write(file: Path, templates: list[dict[str, Any]], number: int) -> int:
    """So many lines of an export, FLIPS of them of the tool that the candidate denies; bytes."""
    chosen = random.Random(number)
    marked = [one for one in templates if one["tool_name"] == MARKED]
    others = [one for one in templates if one["tool_name"] != MARKED]
    flips = set(chosen.sample(range(number), FLIPS))
    with file.open("wb") as lines:
        for at in range(number):
            record = varied(chosen.choice(marked if at in flips else others), at, chosen)
            lines.write(strict_json.dumps({"record": record}) + b"\n")
        return lines.tell()


def varied(template: dict[str, Any], number: int, chosen: random.Random) -> dict[str, Any]:
    """The same decision at another time, of another call and session."""
    at_us, session = template["at_us"] + number, f"{chosen.getrandbits(128):032x}"
    made: dict[str, Any] = json.loads(json.dumps(template))
    facts = made["input"]
    facts["now"]["epoch_ms"] += number % 1_000
    facts["claims"] |= {"jti": session, "root_session_id": session}
    facts["session"]["drift"]["calls"] = chosen.randrange(1, 500)
    facts["call_id"] = made["call_id"] = f"{chosen.getrandbits(128):032x}"
    made["session"] |= {"id": session, "jti": session, "root": session}
    return made | {"id": new_id(at_us), "at_us": at_us}


def measure(candidate: Path, export: Path, number: int) -> None:
    """Decide them again by the command, watched from outside."""
    command = [sys.executable, "-m", "scopebound_engine", "policy", "backtest", str(candidate)]
    command += ["--from", str(export), "--max-flips", str(FLIPS), "--json"]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        sizes: list[float] = [0.0]
        processor: dict[int, float] = {}
        ended = threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, sizes, processor, ended))
        watcher.start()
        output = process.communicate()[0]
        ended.set()
        watcher.join()
    seconds = time.monotonic() - began
    report = json.loads(output)
    print(
        f"{seconds:.1f} s, {number / seconds:,.0f} decisions/s, of the processors "
        f"{sum(processor.values()):.1f} s; largest process {max(sizes):.0f} MB, "
        f"load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    assert process.returncode == 0, report
    assert report["kinds"] == {"deny_to_allow": 0, "allow_to_deny": FLIPS, "deny_code": 0}, report
    assert (report["records"], report["decided"], report["altered"]) == (number, number, 0)


def watch(
    pid: int, sizes: list[float], processor: dict[int, float], ended: threading.Event
) -> None:
    """Resident megabytes of the processes, the command's and those below it; seconds of each."""
    while not ended.wait(0.2):
        for each in family(pid):
            try:
                status = Path(f"/proc/{each}/status").read_text()
                stat = Path(f"/proc/{each}/stat").read_text()
            except OSError:
                continue  # it has just ended
            user, system = stat.rpartition(")")[2].split()[11:13]
            processor[each] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
            if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                sizes.append(int(found[1]) / 1_000)


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    yield from itertools.chain.from_iterable(map(family, children(pid)))


if __name__ == "__main__":
    main()
