"""Recorded decisions are made again: all alike, and where that cannot be it is said why.

SCOPEBOUND_TEST_DECISIONS=10000 makes it long, SCOPEBOUND_TEST_SEED repeats one.
"""

import json
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine import strict_json
from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.errors import InputError
from scopebound_engine.log.replayable import read
from scopebound_engine.log.reproduce import Reproducer, Reproduction
from scopebound_engine.log.shelf import Shelf, among
from tests.api.clocked import Agent, Service, clocked_service
from tests.bundles import bundle_files, packed, server_key
from tests.recording import Record, lines_of

DECISIONS = int(os.environ.get("SCOPEBOUND_TEST_DECISIONS", "300"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED") or secrets.randbelow(1 << 32))
VERSIONS = 3
# Its reason tells all of the arguments, and their names in the order in which they are met.
_ECHO = b"""package scopebound.deny

import rego.v1

violation contains {
	"code": "ECHOED",
	"severity": "low",
	"reason": sprintf("%v has %v", [input.call_args, [name | input.call_args[name]]]),
	"retry_guidance": "none",
} if {
	input.tool_name == "echo"
}
"""
_TEXTS = [
    "",
    "a",
    "é",
    "写",
    "😀",
    '","allow":true,"x":"',
    "\\",
    "a\nb\t\u2028\x7f",
    "\\u0000",
    "0",
    "%v",
]
_NUMBERS = [
    0,
    1,
    -1,
    2**53 + 1,
    2**63,
    -(2**64) - 5,
    10**63,
    0.1,
    -2.5,
    1e-05,
    1.5e300,
    1 / 3,
    1e22,
]
_TOOLS = ["read", "pay", "echo", "marked", "écrire"]
_SERVERS = ["erp", "fs"]


class Calls:
    """Random roles, sessions and calls, at random times."""

    def __init__(self, service: Service, rng: random.Random) -> None:
        self._service, self._rng = service, rng
        self._agents: list[Agent] = []
        self._names = 0

    def make(self, number: int) -> None:
        """So many calls; now and then other roles, sessions, times and delegations."""
        for count in range(number):
            if count % 25 == 0:
                self._service.clock.ahead += self._rng.choice([0, 61, 3_600, 86_400])
                self._agents = [self._service.session(self._role()) for _ in range(3)]
            agent = self._rng.choice(self._agents)
            server = {"mcp_server": self._rng.choice(_SERVERS)} if self._chance(0.3) else {}
            named = {"call_id": f"call {count}"} if self._chance(0.1) else {}
            tool, arguments = self._rng.choice(_TOOLS), self._arguments()
            for _ in range(1 + len(named)):
                agent.answer(tool, arguments, **server, **named)
            if self._chance(0.05):
                self._delegate(agent)

    def _role(self) -> str:
        rng = self._rng
        hours = rng.sample(range(24), 2) if self._chance(0.3) else (0, 0)
        fields: dict[str, Any] = {
            "allowed_hours_start": hours[0],
            "allowed_hours_end": hours[1],
            "allowed_days": rng.sample(range(7), 6) if self._chance(0.3) else [],
            "data_scope": {
                "allowed_envs": rng.sample(["prod", "staging"], rng.randrange(3)),
                "max_rows": rng.choice([0, 100]),
            },
            "approval_required": rng.sample(_TOOLS, rng.randrange(2)),
            "allowed_mcp_servers": rng.sample(_SERVERS, rng.randrange(1, 3)),
            "mcp_server_rate_limits": {"erp": 2} if self._chance(0.3) else {},
            "rate_limit_per_minute": rng.choice([0, 2]),
            "rate_limit_per_hour": rng.choice([0, 3, 100]),
            "max_delegation_depth": rng.randrange(3),
            "parameter_constraints": {
                tool: [{"field": "amount", "operator": "lt", "value": rng.choice([1, 0.2, 10**30])}]
                for tool in rng.sample(_TOOLS, 2)
            },
        }
        return self._service.role(*rng.sample(_TOOLS, 4), **fields)

    def _arguments(self) -> dict[str, Any]:
        names = ["amount", "env", "limit", "b", "a", *self._rng.sample(_TEXTS, 2)]
        self._rng.shuffle(names)
        return {name: self._value(0) for name in names[: self._rng.randrange(8)]}

    def _value(self, depth: int) -> Any:
        rng = self._rng
        if depth < 9 and self._chance(0.4):
            if self._chance(0.5):
                return [self._value(depth + 1) for _ in range(rng.randrange(3))]
            return {text: self._value(depth + 1) for text in rng.sample(_TEXTS, rng.randrange(3))}
        return rng.choice([*_TEXTS, *_NUMBERS, True, False, None, "prod", 1_000])

    def _delegate(self, agent: Agent) -> None:
        body = {
            "role_id": self._service.role(*self._rng.sample(_TOOLS, 2)),
            "parent_session_id": agent.session_id,
        }
        answer = self._service.http.simulate_post("/v1/provision", json=body)
        assert answer.status_code in (200, 403), answer.text

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability


@dataclass(frozen=True)
class Recorded:
    """A service that has decided a lot, and what its log says of it."""

    service: Service
    data_dir: Path
    records: list[Record]

    def shelf(self) -> Shelf:
        return Shelf([History(self.data_dir).find], self.trusted)

    def trusted(self) -> TrustedKeys:
        return TrustedKeys.read(self.data_dir / "bundle-keys/trusted")

    def one(self, event: str, **fields: Any) -> Record:
        """The first record of an event with these fields."""
        for record in self.records:
            if record["event"] == event and fields.items() <= record.items():
                return record
        raise AssertionError(f"there is no {event}")


def put_in_force(service: Service, version: int) -> None:
    """Another bundle: one that denies a marked tool, then one that tells what it was asked."""
    files = bundle_files(f"1.{version}.0", denies=True)
    if version > 1:
        manifest = json.loads(files["manifest.json"])
        code = {"code": "ECHOED", "severity": "low", "description": "The arguments"}
        manifest["deny_codes"].append(code)
        files |= {
            "manifest.json": json.dumps(manifest).encode(),
            "scopebound/deny/echoed.rego": _ECHO,
        }
    data = packed(server_key(service.services.config.data_dir), files)
    answer = service.http.simulate_post("/mgmt/v1/bundles/upload", body=data)
    assert answer.status_code == 200, answer.text


def make_certain(agent: Agent) -> None:
    """Calls of every kind that tests look for; random ones may be of others."""
    agent.answer("read", {"amount": _NUMBERS}, call_id="again")
    agent.answer("read", {"amount": _NUMBERS}, call_id="again")
    agent.answer("echo", {"b": 1, "a": {"d": _TEXTS, "c": 2}})
    agent.answer("marked", {})  # not granted either: two violations
    agent.answer("delete", {})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with clocked_service(tmp_path_factory.mktemp("recorded"), None) as service:
        calls = Calls(service, random.Random(SEED))
        for version in range(VERSIONS):
            if version:
                put_in_force(service, version)
            calls.make(DECISIONS // VERSIONS + 1)
        make_certain(service.session(service.role("read", "echo")))
        masked = service.session(service.role("pay", log_mask=["/call_args/iban"]))
        masked.answer("pay", {"iban": "DE1", "amount": 5})
        unsigned = {"jwt": "a.b.c", "tool_name": "pay", "call_args": {}}
        service.http.simulate_post("/v1/enforce", json=unsigned)
        data_dir = service.services.config.data_dir
        yield Recorded(service, data_dir, [read(line) for line in lines_of(data_dir)])


@pytest.fixture
def reproduce(recorded: Recorded) -> Iterator[Callable[[Mapping[str, Any]], Reproduction]]:
    with Reproducer(recorded.shelf()) as reproducer:
        yield reproducer.reproduce


def test_every_decision_comes_out_alike(recorded: Recorded) -> None:
    found, checksums, codes = Counter[str](), Counter[str](), Counter[str]()
    started = time.perf_counter()
    with Reproducer(recorded.shelf()) as reproducer:
        for record in recorded.records:
            one = reproducer.reproduce(record)
            found[one.cause or one.outcome] += 1
            assert one.outcome != "different", (SEED, one)
            assert record.get("reproducible", False) is (one.outcome == "identical")
            if one.outcome == "identical":
                checksums[record["bundle"]["checksum"]] += 1
                codes.update(one["code"] for one in record.get("violations", [{"code": "allow"}]))
    print(f"\n{found['identical']:,} decisions by {len(checksums)} bundles reproduced identically,")
    print(f"{found['different']} differently, in {time.perf_counter() - started:.1f} s")
    print(f"{dict(found)}; seed {SEED}\n{dict(codes)}")
    assert len(checksums) == VERSIONS
    assert found["identical"] >= DECISIONS * 0.9
    assert found["bundle"] == 0
    assert found["replay"] > 0
    assert {"allow", "ECHOED", "MARKED_CALL", "SCOPE_VIOLATION"} <= codes.keys()
    assert {
        name.partition(".")[0] for name in Counter(one["event"] for one in recorded.records)
    } >= {
        "tool_call",
        "mcp_tool_call",
        "delegation",
    }


def test_the_inputs_are_recorded_exactly(recorded: Recorded) -> None:
    texts = [json.dumps(record) for record in recorded.records if "input" in record]
    for value in (str(10**63), "1e-05", "0.3333333333333333", str(-(2**64) - 5)):
        assert any(value in text for text in texts), value
    for line in lines_of(recorded.data_dir):
        # As it was written, without json's own idea of equal numbers.
        if b'"input":' in line:
            assert b'"input":' + strict_json.encode(read(line)["input"]) + b"," in line


def backwards(value: Any) -> Any:
    """The same value, with the keys of all objects in another order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def test_whoever_writes_a_record_anew_changes_nothing_by_it(
    recorded: Recorded, reproduce: Callable[[Mapping[str, Any]], Reproduction]
) -> None:
    told = [
        r
        for r in recorded.records
        if "ECHOED" in json.dumps(r.get("violations", "")) and "input" in r
    ]
    for record in told:
        assert reproduce(backwards(record)).outcome == "identical"
    assert any(len(record["input"]["call_args"]) > 1 for record in told)


def test_masked_values_are_told_as_what_hinders(
    recorded: Recorded, reproduce: Callable[[Mapping[str, Any]], Reproduction]
) -> None:
    one = reproduce(next(record for record in recorded.records if "masked" in record))
    assert (one.outcome, one.cause) == ("impossible", "masked")
    assert one.reason == "masked, so that the policy saw other values: /call_args/iban"


def test_what_no_policy_decided_says_so(
    recorded: Recorded, reproduce: Callable[[Mapping[str, Any]], Reproduction]
) -> None:
    refused = recorded.one("tool_call.deny", deny_code="JWT_INVALID")
    role = recorded.one("role.created")
    replay = next(record for record in recorded.records if record["event"].endswith(".replay"))
    found = [reproduce(record) for record in (refused, role, replay)]
    assert [one.cause for one in found] == ["engine", "no decision", "replay"]
    assert "JWT_INVALID" in found[0].reason
    assert "role.created is no decision" in found[1].reason
    assert replay["of"] in found[2].reason
    late = {"id": "1", "event": "answer.late", "of": "first", "decision": "allow"}
    assert reproduce(late).reason.endswith("it is about first")


def test_a_denial_for_want_of_a_verdict_is_the_engines(
    recorded: Recorded, reproduce: Callable[[Mapping[str, Any]], Reproduction]
) -> None:
    record = {**recorded.one("tool_call.deny"), "deny_code": "POLICY_ERROR"}
    del record["bundle"]
    assert reproduce(record).cause == "engine"


@pytest.mark.parametrize(
    ("pointer", "value", "told"),
    [
        (("decision",), "allow", '/decision: recorded "allow", now "deny"'),
        (("event",), "tool_call.allow", '/event: recorded "tool_call.allow", now "tool_call.deny"'),
        (("deny_code",), "OTHER", '/deny_code: recorded "OTHER", now "SCOPE_VIOLATION"'),
        (("violations", 0, "reason"), "r", '/violations/0/reason: recorded "r", now '),
        (("violations", 0, "severity"), "low", '/violations/0/severity: recorded "low", now '),
        (("violations", 0, "more"), 1, "/violations/0/more: recorded 1, now nothing"),
        (("violations",), [], "/violations: recorded [], now nothing"),
        (("input", "session", "revoked"), True, None),
        (("input", "claims", "allowed_tools"), ["delete"], None),
        (("input",), {}, None),
    ],
)
def test_whatever_differs_is_told(
    recorded: Recorded,
    reproduce: Callable[[Mapping[str, Any]], Reproduction],
    pointer: tuple[str | int, ...],
    value: Any,
    told: str | None,
) -> None:
    record = json.loads(json.dumps(recorded.one("tool_call.deny", deny_code="SCOPE_VIOLATION")))
    assert reproduce(record).outcome == "identical"
    place: Any = record
    for step in pointer[:-1]:
        place = place[step]
    place[pointer[-1]] = value
    one = reproduce(record)
    assert (one.outcome, bool(one.differences)) == ("different", True)
    assert told is None or any(text.startswith(told) for text in one.differences)


def test_two_violations_in_another_order_differ(
    recorded: Recorded, reproduce: Callable[[Mapping[str, Any]], Reproduction]
) -> None:
    record = next(r for r in recorded.records if len(r.get("violations", [])) > 1 and "input" in r)
    assert reproduce(record).outcome == "identical"
    other = [{**one, "rules": ["elsewhere:1"]} for one in record["violations"]]
    assert reproduce({**record, "violations": other}).outcome == "identical"
    assert reproduce({**record, "violations": other[::-1]}).outcome == "different"


def test_the_places_of_its_rules_are_in_every_denial_by_the_policy(recorded: Recorded) -> None:
    places = {
        place: violation["code"]
        for record in recorded.records
        for violation in record.get("violations", [])
        if "bundle" in record
        for place in violation["rules"]
    }
    for place, code in places.items():
        assert place.startswith(f"scopebound/deny/{code.lower()}.rego:")


def test_a_bundle_that_is_gone_or_not_believed_is_told(recorded: Recorded, tmp_path: Path) -> None:
    record = recorded.one("tool_call.allow")
    with Reproducer(Shelf([], recorded.trusted)) as reproducer:
        for _ in range(2):
            one = reproducer.reproduce(record)
            assert one.cause == "bundle"
            assert record["bundle"]["checksum"] in one.reason
    (tmp_path / "other.pem").write_text(SigningKey.generate("es256").public_pem())
    places = [History(recorded.data_dir).find]
    with Reproducer(Shelf(places, lambda: TrustedKeys.read(tmp_path))) as reproducer:
        one = reproducer.reproduce(record)
    assert (one.cause, "no trusted key" in one.reason) == ("bundle", True)


def test_bytes_of_another_checksum_are_not_taken(recorded: Recorded, tmp_path: Path) -> None:
    checksum = recorded.one("tool_call.allow")["bundle"]["checksum"]
    data = History(recorded.data_dir).find(checksum)
    assert data is not None
    (tmp_path / "bundle").write_bytes(data)
    places = [lambda _: data + b"x", among([tmp_path / "bundle"])]
    with Reproducer(Shelf(places, recorded.trusted)) as reproducer:
        one = reproducer.reproduce(recorded.one("tool_call.allow"))
    assert one.outcome == "identical"


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'"x"', b'{"record":1}', b'{"record":{"id":1}}']
)
def test_what_is_no_line_of_a_log_is_refused(line: bytes) -> None:
    with pytest.raises(InputError):
        read(line)


@pytest.mark.parametrize(
    "change",
    [{"at_us": "x"}, {"bundle": {}}, {"bundle": []}, {"input": []}, {"violations": [1]}],
)
def test_a_record_that_is_not_as_they_are_written_is_refused(
    recorded: Recorded,
    reproduce: Callable[[Mapping[str, Any]], Reproduction],
    change: dict[str, Any],
) -> None:
    with pytest.raises(InputError, match="the record"):
        reproduce({**recorded.one("tool_call.deny", deny_code="SCOPE_VIOLATION"), **change})
