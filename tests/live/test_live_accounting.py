"""Sessions hammered from all sides: their buckets give what they hold and what flows in, no more.

SCOPEBOUND_TEST_SESSIONS=10000 makes it long.
"""

import os
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import Entry, SessionState
from scopebound_engine.session.state.sqlite import SqliteState
from tests.accounting import HOUR, MINUTE, Answered, Limit, overdrawn, refused_in_vain
from tests.bundles import MARKED, MARKED_CODE, make_bundle, server_key, upload
from tests.entering import enter_together
from tests.hammer import Sent, hammer
from tests.load import latency, posted
from tests.postgres import Databases
from tests.roles import ROLE_ID, store_role
from tests.servers import RunningServer, serving, two_nodes
from tests.sessions import store_session
from tests.stepping import step, steppable

SESSIONS = int(os.environ.get("SCOPEBOUND_TEST_SESSIONS", "240"))
# Where tests share few processors, the defaults may pass while an evaluator waits for one.
PATIENT: Mapping[str, Any] = {"evaluation_deadline_ms": 900, "total_deadline_ms": 1900}
# So many sessions are hammered at the same time, each with so many calls, in so many rounds.
TOGETHER, CALLS, ROUNDS = 8, 10, 2
MCP_SERVER = "files"

# name of a role -> what it limits. Less than CALLS: of many sessions a round takes minutes.
ROLES: Mapping[str, Sequence[Limit]] = {
    "minute": (Limit(8, MINUTE),),
    "hour": (Limit(7, HOUR),),
    "both": (Limit(18, MINUTE), Limit(9, HOUR)),
    "server": (Limit(5, MINUTE),),
}


@pytest.fixture(scope="module", params=["two nodes on PostgreSQL", "four workers on SQLite"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sequence[RunningServer]]:
    folder = tmp_path_factory.mktemp("accounting")
    # As many threads as let fifty calls of one session wait in one worker.
    settings = {**PATIENT, "provision_per_minute": 1_000_000, "threads": 160}
    with steppable(folder / "clocks"), ExitStack() as stack:
        if "SQLite" in request.param:
            yield [stack.enter_context(serving(folder / "data", workers=4, **settings))]
            return
        databases: Databases = request.getfixturevalue("postgres_databases")
        url = databases.url(databases.create())
        yield stack.enter_context(two_nodes(folder, url, **settings))


def role_fields(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": name, "allowed_tools": ["read"]}
    for limit in ROLES[name]:
        if name == "server":
            fields["mcp_server_rate_limits"] = {MCP_SERVER: limit.calls}
        else:
            window = "minute" if limit.seconds == MINUTE else "hour"
            fields[f"rate_limit_per_{window}"] = limit.calls
    return fields


def sessions_of(servers: Sequence[RunningServer]) -> dict[str, tuple[str, str]]:
    """New sessions: their ids, each with the name of its role and its token."""
    with servers[0].client() as http:
        for name in ROLES:
            http.post("/mgmt/v1/roles", json=role_fields(name)).raise_for_status()
    names = [list(ROLES)[number % len(ROLES)] for number in range(SESSIONS)]
    wishes = [(name, posted("/v1/provision", {"role_id": name})) for name in names]
    made = hammer(servers, wishes, lines=1)
    assert [sent.body for sent in made if sent.status != 200] == []
    return {sent.said["session_id"]: (sent.session, sent.said["jwt"]) for sent in made}


def call_of(role: str, token: str) -> bytes:
    if role == "server":
        body = {"jwt": token, "tool_name": "read", "arguments": {}, "mcp_server": MCP_SERVER}
        return posted("/v1/mcp/enforce", body)
    return posted("/v1/enforce", {"jwt": token, "tool_name": "read", "call_args": {}})


def calls_of(sessions: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """Calls of a few sessions mixed with each other, then of the next few."""
    mixed = random.Random(5)
    ids = list(sessions)
    for start in range(0, len(ids), TOGETHER):
        few = ids[start : start + TOGETHER] * CALLS
        mixed.shuffle(few)
        for session in few:
            yield session, call_of(*sessions[session])


def test_no_session_is_granted_more_than_its_buckets_hold_nor_refused_before(
    servers: Sequence[RunningServer],
) -> None:
    sessions = sessions_of(servers)
    history: list[Sent] = []
    for _ in range(ROUNDS):
        history += hammer(servers, calls_of(sessions))
    report(history)
    assert {sent.status for sent in history} == {200}
    by_session = defaultdict(list)
    for sent in history:
        by_session[sent.session].append(answered(sent))
    wrong = [
        f"{role}: {fault}"
        for session, (role, _) in sessions.items()
        for fault in faults(by_session[session], ROLES[role])
    ]
    print(f"  judged   {len(sessions)} sessions, faults: {dict(Counter(wrong))}")
    assert wrong == []


def answered(sent: Sent) -> Answered:
    """An engine that could not decide may have taken a token all the same."""
    granted = {"allow": True, "RATE_LIMIT_EXCEEDED": False}.get(sent.outcome)
    return Answered(sent.begun, sent.ended, granted)


def faults(answers: Sequence[Answered], limits: Sequence[Limit]) -> Iterator[str]:
    for limit in limits:
        if more := overdrawn(answers, limit):
            yield f"{more} more than {limit} gives"
    if vain := refused_in_vain(answers, limits):
        yield f"{vain} refused in vain"
    if all(answer.granted is not False for answer in answers):
        yield "never refused: nothing was tried"


def report(history: Sequence[Sent]) -> None:
    took = max(sent.ended for sent in history) - min(sent.begun for sent in history)
    print(f"\n{SESSIONS} sessions, {len(history)} calls, {len(history) / took:.0f} a second")
    print(f"  answers  {dict(Counter(sent.outcome for sent in history))}")
    print(f"  enforce  {latency(sent.ended - sent.begun for sent in history)}")


def test_entering_processes_are_granted_what_the_buckets_hold(
    database: Engine, database_url: str | None, tmp_path: Path
) -> None:
    store_role(database)
    limits = (Limit(18, MINUTE), Limit(9, HOUR))
    state = opened(database_url, tmp_path)
    entries = []
    for _ in range(SESSIONS):
        session = str(uuid.uuid4())
        store_session(database, session)
        state.open(session, limits[0].calls, limits[1].calls, int(time.time()) + 3600)
        entries += [Entry(session, ROLE_ID, limits[0].calls, limits[1].calls)] * 4
    state.close()
    entered = enter_together(partial(opened, database_url, tmp_path), entries, 4)
    print(f"\n{SESSIONS} sessions, {len(entered)} entries of 4 processes, {database.dialect.name}")
    print(f"  enter()  {latency(each.ended - each.begun for each in entered)}")
    by_session = defaultdict(list)
    for each in entered:
        by_session[each.session_id].append(Answered(each.begun, each.ended, each.granted))
    wrong = [fault for each in by_session.values() for fault in faults(each, limits)]
    print(f"  judged   {len(by_session)} sessions, faults: {dict(Counter(wrong))}")
    assert wrong == []


def opened(database_url: str | None, data_dir: Path) -> SessionState:
    return PostgresState(database_url) if database_url else SqliteState(data_dir)


# Clocks


def test_a_wall_clock_that_jumps_by_hours_fills_no_bucket(servers: Sequence[RunningServer]) -> None:
    limits = (Limit(12, MINUTE), Limit(14, HOUR))
    role = {
        "name": "timed",
        "allowed_tools": ["read"],
        "default_ttl_seconds": 3 * 3600,
        "rate_limit_per_minute": limits[0].calls,
        "rate_limit_per_hour": limits[1].calls,
    }
    with servers[0].client() as http:
        http.post("/mgmt/v1/roles", json=role).raise_for_status()
        usual = http.post("/v1/provision", json={"role_id": "timed"}).json()
        step(servers[0], -3600)
        made = http.post("/v1/provision", json={"role_id": "timed"}).json()
    assert made["expires_at"] < usual["expires_at"], "the node does not go by this clock"
    history: list[Sent] = []
    for ahead in (-3600, 0, 3600, -3600, 3600, 0):
        step(servers[0], ahead)
        call = ("timed", call_of("timed", made["jwt"]))
        history += hammer(servers, [call] * 8, lines=2)
    assert {sent.outcome for sent in history} == {"allow", "RATE_LIMIT_EXCEEDED"}
    assert list(faults([answered(sent) for sent in history], limits)) == []


# Calls that come again


@dataclass(frozen=True)
class Session:
    """A session of a role that grants so many calls an hour, and every server to send them to."""

    servers: Sequence[RunningServer]
    id: str
    token: str

    def request(self, call_id: str, tool: str = "read", **arguments: Any) -> bytes:
        body = {"jwt": self.token, "tool_name": tool, "call_args": arguments, "call_id": call_id}
        return posted("/v1/enforce", body)

    def send(self, call_id: str, server: int, **call: Any) -> Sent:
        [sent] = hammer([self.servers[server]], [(self.id, self.request(call_id, **call))], lines=1)
        return sent

    def tokens_left(self) -> int:
        with self.servers[-1].client() as http:
            shown = http.get(f"/v1/sessions/{self.id}").json()
        return int(shown["rate"]["hour"]["remaining"])


@pytest.fixture
def session(servers: Sequence[RunningServer]) -> Session:
    name = f"repeats-{uuid.uuid4()}"
    role = {"name": name, "allowed_tools": ["read", MARKED], "rate_limit_per_hour": 5}
    with servers[0].client() as http:
        http.post("/mgmt/v1/roles", json=role).raise_for_status()
        made = http.post("/v1/provision", json={"role_id": name}).json()
    return Session(servers, made["session_id"], made["jwt"])


def test_of_fifty_parallel_sends_one_in_four_is_a_call_and_three_are_decided_like_it(
    session: Session,
) -> None:
    requests = [(session.id, session.request("same"))] * 50
    history = hammer(session.servers, requests, lines=50 // len(session.servers))
    assert Counter((sent.outcome, sent.said.get("replayed", False)) for sent in history) == {
        ("allow", False): 5,
        ("allow", True): 15,
        ("RATE_LIMIT_EXCEEDED", False): 8,
        ("RATE_LIMIT_EXCEEDED", True): 22,
    }
    assert session.tokens_left() == 0


def test_a_call_id_sent_with_another_body_is_refused_by_every_server_and_takes_nothing(
    session: Session,
) -> None:
    first = session.send("same", 0, path="a")
    assert (first.outcome, session.tokens_left()) == ("allow", 4)
    for server in (0, -1):
        other = session.send("same", server, path="b")
        assert other.outcome == "REQUEST_INVALID"
        assert "call_id" in other.said["reason"]
    again = session.send("same", -1, path="a")
    assert (again.outcome, again.said["replayed"]) == ("allow", True)
    assert session.tokens_left() == 4


def test_a_replay_is_decided_by_the_bundle_in_force_now(session: Session) -> None:
    key = server_key(session.servers[0].data_dir)
    first = session.send("same", 0, tool=MARKED)
    with session.servers[0].client(60) as http:
        denying = upload(http, make_bundle(key, "1.1.0", denies=True), denies=True)
        again = session.send("same", -1, tool=MARKED)
        upload(http, make_bundle(key, "1.1.1", denies=False), denies=False)
    third = session.send("same", -1, tool=MARKED)
    assert [first.outcome, again.outcome, third.outcome] == ["allow", MARKED_CODE, "allow"]
    assert again.said["bundle_generation"] == denying.generation
    assert again.said["replayed"]
    assert third.said["replayed"]
    assert session.tokens_left() == 4


def test_a_replay_of_a_session_that_was_revoked_meanwhile_is_denied(session: Session) -> None:
    assert session.send("same", 0).outcome == "allow"
    with session.servers[0].client() as http:
        http.delete(f"/v1/sessions/{session.id}", params={"reason": "why"}).raise_for_status()
    denied = session.send("same", -1)
    assert denied.outcome == "SESSION_EXPIRED"
    assert "why" in denied.said["reason"]


# The judge itself

LIMIT = Limit(3, MINUTE)


def granted_at(*moments: float) -> list[Answered]:
    return [Answered(moment, moment + 0.5, True) for moment in moments]


@pytest.mark.parametrize(
    ("moments", "more"),
    [
        ((0, 1, 2), 0),
        ((0, 1, 2, 3), 1),
        ((0, 1, 2, 3, 4), 2),
        ((0, 1, 2, 19.4), 1),  # within less than twenty seconds nothing more flowed in
        ((0, 1, 2, 19.6), 0),
        ((0, 100, 101, 102, 103), 1),  # a bucket does not hold more for having rested
        ((0, 0, 0, 20, 40, 60), 0),
    ],
)
def test_the_judge_counts_what_no_bucket_can_have_given(
    moments: Sequence[float], more: int
) -> None:
    answers = granted_at(*moments)
    random.Random(1).shuffle(answers)
    assert overdrawn([*answers, Answered(1, 2, False), Answered(1, 2, None)], LIMIT) == more


@pytest.mark.parametrize(
    ("taken", "vain"), [((0, 1, 2), 0), ((0, 1), 1), ((0, 1, 5), 1), ((0, 1, 3.9), 0)]
)
def test_the_judge_counts_refusals_that_found_a_token(taken: Sequence[float], vain: int) -> None:
    answers = [*granted_at(*taken), Answered(3, 4, False)]
    assert refused_in_vain(answers, [Limit(9, HOUR), LIMIT]) == vain
    assert refused_in_vain([*answers, Answered(0, 9, None)], [LIMIT]) == 0
