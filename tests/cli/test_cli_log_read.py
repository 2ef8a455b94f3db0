"""`log tail|show|export` against a server, as an auditor types it."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.cli import log_follow, log_query
from scopebound_engine.cli.log import log
from scopebound_engine.cli.log_follow import Follower
from scopebound_engine.cli.remote import RemoteError, Server
from scopebound_engine.times import moment, timestamp
from tests.cli.answering import Answering
from tests.journals import NOW_US
from tests.servers import API_KEY, RunningServer

ID = "019dd91c-3e7b-70a9-bb8d-363befbcc1d8"
FIRST_PAGE = "GET /mgmt/v1/decisions?limit=500"
# What sets a terminal's title, erases its line, ends the line, and turns the direction of writing.
HOSTILE = "\x1b]0;owned\x07\x1b[2K\r\nallow \x9b31m\u202eenif si lla"
DENIAL: dict[str, Any] = {
    "id": ID,
    "at": "2026-04-29T12:00:00.123456Z",
    "at_us": NOW_US,
    "event": "tool_call.deny",
    "decision": "deny",
    "deny_code": "SCOPE_VIOLATION",
    "violations": [
        {
            "code": "SCOPE_VIOLATION",
            "severity": "medium",
            "reason": "the tool is not among them",
            "retry_guidance": "none",
            "rules": ["scopebound/deny/scope_violation.rego:12"],
        },
        {"code": "RATE_LIMIT_EXCEEDED", "severity": "low", "reason": "the bucket is empty",
         "retry_guidance": "wait", "retry_after_seconds": 7},
    ],
    "tool_name": "delete_invoice",
    "call_id": "call-1",
    "role": {"id": "role-1", "name": "clerk", "revision": 3},
    "session": {"id": "session-1", "parent": "session-0"},
    "request": {"method": "POST", "path": "/v1/enforce", "peer": "10.0.0.9", "status": 200},
    "input": {"tool_name": "delete_invoice", "call_args": {"amount": 25}, "now": {"hour": 9}},
    "latency_ms": {"total": 12.5, "token": 1, "state": 2, "facts": 3, "policy": 4},
    "reproducible": False,
    "masked": ["/call_args/iban"],
    "skipped": ["iban"],
}  # fmt: skip


def line(seq: int = 1, node: str = "node-1", **fields: Any) -> dict[str, Any]:
    return {"chain": {"node": node, "prev": "0" * 64, "seq": seq}, "record": DENIAL | fields}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(log, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.exception or result.output
    return result.stdout


def page(answers: Answering, asked: str, *lines: Any, following: str | None = None) -> None:
    answers.answer(asked, 200, {"count": len(lines), "decisions": lines, "next": following})


# A line each


def test_a_line_says_when_what_who_and_why_oldest_first(answers: Answering) -> None:
    change = {
        "event": "role.updated",
        "at_us": 1,
        "actor": {"name": "ops"},
        "details": {"reason": "asked for"},
    }
    subject = {"type": "role", "name": "clerk", "id": "role-1"}
    page(answers, FIRST_PAGE, line(2), {**line(1), "record": change | {"subject": subject}})
    older, newer = done("tail").splitlines()
    assert older.split() == ["-", "role.updated", "clerk", "-", "-", "by", "ops:", "asked", "for"]
    assert newer.startswith("2026-04-29T12:00:00.123  deny   SCOPE_VIOLATION ")
    assert newer.split()[3:6] == ["clerk", "delete_invoice", "session-1"]
    assert newer.endswith("  the tool is not among them (and 1 more)")


def test_filters_are_the_servers_and_pages_are_followed(answers: Answering) -> None:
    asked = f"{FIRST_PAGE.partition('?')[0]}?decision=deny&role=a+%26+b&limit=500"
    page(answers, asked, line(3), line(2), following="C")
    page(answers, f"{asked}&cursor=C", line(1))
    told = done("tail", "--decision", "deny", "--role", "a & b", "--json", "-n", 3)
    assert [json.loads(each) for each in told.splitlines()] == [line(1), line(2), line(3)]
    assert len(done("tail", "--decision", "deny", "--role", "a & b", "-n", 2).splitlines()) == 2
    assert done("tail", "-n", 0) == ""


def test_what_a_server_refuses_and_what_makes_no_sense_is_2(answers: Answering) -> None:
    answers.answer(FIRST_PAGE, 403, {"detail": "this key lacks the scope audit"})
    assert (found := run("tail")).exit_code == 2
    assert "lacks the scope audit" in found.stderr
    assert run("tail", "-f", "--until", "2026-04-29T12:00:00Z").exit_code == 2
    assert run("tail", "--decision", "perhaps").exit_code == 2


@pytest.mark.parametrize("path", ["tool_name", "decision", "deny_code", "at", "event"])
def test_nothing_of_a_record_acts_on_the_terminal(answers: Answering, path: str) -> None:
    hostile: dict[str, Any] = {
        path: HOSTILE,
        HOSTILE: {HOSTILE: HOSTILE},
        "call_id": HOSTILE,
        "masked": [HOSTILE],
    }
    hostile["violations"] = [{"code": HOSTILE, "reason": HOSTILE, "rules": [HOSTILE]}]
    hostile["input"] = {"call_args": {HOSTILE: HOSTILE}, HOSTILE: [HOSTILE]}
    for part in ("role", "session", "request", "bundle", "actor", "subject", "latency_ms"):
        hostile[part] = dict.fromkeys(("name", "id", "peer", "status", "version", "total"), HOSTILE)
    page(answers, FIRST_PAGE, line(**hostile))
    answers.answer(f"GET /mgmt/v1/decisions/{ID}", 200, line(**hostile))
    for command in (["tail"], ["tail", "--json"], ["show", ID], ["show", ID, "--json"]):
        told = CliRunner().invoke(log, command, color=True).stdout
        shown = re.sub(r"\x1b\[[0-9;]{1,4}m", "", told) if "--json" not in command else told
        assert "owned" in shown
        assert all(one.isprintable() or one == "\n" for one in shown), command
        if command[0] == "tail":
            assert shown.count("\n") == 1


@pytest.mark.parametrize(
    "odd", [None, True, 7, "x", [], [[]], {}, {"name": {}}, [None], [{"a": 1}]]
)
def test_a_record_of_any_shape_is_shown(answers: Answering, odd: Any) -> None:
    names = DENIAL.keys() | {"bundle", "clock", "actor", "subject", "details", "call", "new"}
    shapeless = dict.fromkeys(names, odd)
    page(answers, FIRST_PAGE, {**line(), "record": shapeless})
    answers.answer(f"GET /mgmt/v1/decisions/{ID}", 200, {**line(), "record": shapeless})
    done("tail")
    assert "line 1 of node node-1" in done("show", ID)


# One record


def test_show_tells_all_of_a_record(answers: Answering) -> None:
    answers.answer(f"GET /mgmt/v1/decisions/{ID}", 200, line(17))
    told = done("show", ID)
    assert told.splitlines()[0] == "deny SCOPE_VIOLATION"
    for part in (
        "tool       delete_invoice (call call-1)\n",
        "role       clerk (id role-1, revision 3)\n",
        "session    session-1 (parent session-0)\n",
        "from       10.0.0.9\n",
        "request    POST /v1/enforce (status 200)\n",
        "timing     12.5 ms: token 1, state 2, facts 3, policy 4\n",
        "suffices   no, to decide again; masked are /call_args/iban\n",
        "chain      line 17 of node node-1\n",
        "\nSCOPE_VIOLATION (severity medium)\n  the tool is not among them\n"
        "  rule scopebound/deny/scope_violation.rego:12\n  retry none\n",
        "\nRATE_LIMIT_EXCEEDED (severity low)\n  the bucket is empty\n  retry wait (seconds 7)\n",
        '\narguments\n  {\n    "amount": 25\n  }\n',
        '\nfacts\n  {\n    "tool_name": "delete_invoice",\n',
        '\nskipped\n  [\n    "iban"\n  ]\n',
    ):
        assert part in told
    assert json.loads(done("show", ID, "--json")) == line(17)


def test_an_unknown_record_is_2_and_its_id_cannot_be_a_path(answers: Answering) -> None:
    answers.answer("GET /mgmt/v1/decisions/..%2Froles%3Fx", 404, {"detail": "no such record"})
    assert (found := run("show", "../roles?x")).exit_code == 2
    assert "no such record" in found.stderr


# What comes


@dataclass(frozen=True)
class Shipped(Server):
    """What a server says of records that come into its database in any order of nodes."""

    url: str = "http://none"
    api_key: str = "sb-none"
    rows: list[Any] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    # Done before every answer.
    meanwhile: list[Callable[[], None]] = field(default_factory=list)

    def done(self, method: str, path: str, document: Any = None) -> Any:
        for act in self.meanwhile:
            act()
        asked = {name: value for name, [value] in parse_qs(urlsplit(path).query).items()}
        if path.endswith("/keys"):
            return {"keys": [{"node_id": node} for node in self.nodes]}
        found = sorted((each for each in self.rows if fits(each, asked)), key=time_of)[::-1]
        part = found[: int(asked["limit"])]
        following = json.dumps(time_of(part[-1])) if len(found) > len(part) else None
        return {"decisions": part, "next": following}


def time_of(each: Any) -> list[Any]:
    return [each["record"]["at_us"], each["chain"]["node"], each["chain"]["seq"]]


def fits(each: Any, asked: dict[str, str]) -> bool:
    at = timestamp(moment(each["record"]["at_us"] / 1e6))
    return (
        asked.get("node", each["chain"]["node"]) == each["chain"]["node"]
        and asked.get("since", "") <= at
        and ("cursor" not in asked or time_of(each) < json.loads(asked["cursor"]))
        and asked.get("tool_name", each["record"]["tool_name"]) == each["record"]["tool_name"]
    )


@pytest.mark.parametrize("seed", range(5))
def test_followed_is_every_record_once_whatever_comes_late(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes fall behind each other, times are in disorder, and records come between pages."""
    monkeypatch.setattr(log_query, "PAGE", 3)
    chosen, server = random.Random(seed), Shipped()
    queues = {
        node: [
            line(seq, node, at_us=NOW_US + seq * 700_000 - chosen.randrange(4_000_000),
                 tool_name=chosen.choice("ab"))
            for seq in range(1, 80)
        ]
        for node in ("node-1", "node-2", "node-3")
    }  # fmt: skip

    def ship(most: int) -> None:
        node = chosen.choice(list(queues))
        batch = queues[node][:most]
        queues[node] = queues[node][most:]
        server.rows.extend(batch)
        if batch and node not in server.nodes:
            server.nodes.append(node)

    for _ in range(4):
        ship(chosen.randrange(9))
    wanted = chosen.choice((None, "a"))
    follower = Follower(server, {"tool_name": wanted, "node": None})
    known = list(server.rows)
    server.meanwhile.append(lambda: ship(chosen.randrange(3)))
    found = []
    while any(queues.values()):
        found += follower.fresh()
    server.meanwhile.clear()
    for _ in range(2 * log_follow._NODES_EVERY):
        found += follower.fresh()
    due = [each for each in server.rows if wanted in {None, each["record"]["tool_name"]}]
    places = [(each["chain"]["node"], each["chain"]["seq"]) for each in found]
    assert len(set(places)) == len(places)
    assert sorted(map(time_of, found)) == sorted(time_of(each) for each in due if each not in known)


def test_when_a_server_is_away_nothing_is_forgotten() -> None:
    server = Shipped()
    server.nodes.extend(["node-1", "node-2"])
    follower = Follower(server, {})
    server.rows.extend([line(1, "node-1"), line(1, "node-2")])
    asked = iter((None, RemoteError("away"), None, None))

    def fail() -> None:
        if error := next(asked):
            raise error

    server.meanwhile.append(fail)
    with pytest.raises(RemoteError, match="away"):
        follower.fresh()
    assert len(follower.fresh()) == 2


def test_follow_goes_on_with_what_comes_until_it_is_interrupted(running: RunningServer) -> None:
    names = ["before", *(f"followed-{number}" for number in range(3))]
    make_role(running, names[0])
    env = os.environ | {"SCOPEBOUND_BASE_URL": running.url, "SCOPEBOUND_API_KEY": API_KEY}
    command = [sys.executable, "-m", "scopebound_engine", "log", "tail", "-f", "-n", "1", "--json"]
    with subprocess.Popen(
        [*command, "--event", "role.created"], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # Once it shows what is there, it follows.
        told = [json.loads(process.stdout.readline())]
        for name in names[1:]:
            make_role(running, name)
        told += [json.loads(process.stdout.readline()) for _ in names[1:]]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 0
    assert [each["record"]["subject"]["name"] for each in told] == names


def make_role(server: RunningServer, name: str) -> None:
    """Make a role, and wait until the database has the record of it."""
    with server.client() as http:
        http.post("/mgmt/v1/roles", json={"name": name}).raise_for_status()
        deadline = time.monotonic() + 30
        while not http.get(f"/mgmt/v1/decisions?role={name}").json()["count"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# A file


def test_an_export_is_the_servers_file(server: RunningServer, tmp_path: Path) -> None:
    make_role(server, "exported")
    for name in ("a.json", "a.csv", "a.jsonl", "a"):
        told = done("export", "--out", tmp_path / name, "--window-hours", 1)
        assert re.search(rf"format +{name[2:] or 'jsonl'}\n", told)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert any('"exported"' in each for each in lines)
    array = json.loads((tmp_path / "a.json").read_text())
    assert array[: len(lines)] == [json.loads(each) for each in lines][: len(array)]
    assert (tmp_path / "a.csv").read_text().startswith("at,node,id,event,")
    sound = run("verify", tmp_path / "a.jsonl")
    assert (sound.exit_code, "follow one another" in sound.stdout) == (0, True)


def test_an_export_that_breaks_off_leaves_no_file(answers: Answering, tmp_path: Path) -> None:
    asked = "GET /mgmt/v1/audit/export?format=jsonl&window_hours=24"
    answers.answers[asked] = (200, {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n")
    result = run("export", "--out", tmp_path / "a")
    assert result.exit_code == 2
    assert "broke off" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_no_file_and_says_where_it_cannot_write(
    answers: Answering, tmp_path: Path
) -> None:
    (tmp_path / "there").write_text("old")
    assert run("export", "--out", tmp_path / "there").exit_code == 2
    assert (tmp_path / "there").read_text() == "old"
    assert "cannot be written" in run("export", "--out", tmp_path / "no/where").stderr
    assert answers.asked == []


def test_on_a_terminal_an_export_says_how_far_it_is(answers: Answering, tmp_path: Path) -> None:
    asked = "GET /mgmt/v1/audit/export?format=csv&window_hours=24"
    answers.answers[asked] = (200, {}, b"x" * 2_000_000)
    command = ["log", "export", "--out", str(tmp_path / "a.csv")]
    master, slave = pty.openpty()
    result = subprocess.run(
        [sys.executable, "-m", "scopebound_engine", *command],
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        check=True,
        timeout=60,
    )
    os.close(slave)
    assert re.search(r"exporting … \d\.\d MB, 0 s", os.read(master, 65536).decode())
    os.close(master)
    assert "2,000,000 (" in result.stdout
