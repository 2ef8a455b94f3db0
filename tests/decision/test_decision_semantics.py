"""What the facts mean to the shipped rules: role, call and clock in, deny codes out."""

import copy
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build as build_bundle
from scopebound_engine.bundle.signature import SIGNATURES, sign, verify
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKey, TrustedKeys
from scopebound_engine.config import SHIPPED
from scopebound_engine.decision.active import ActiveBundle, BundleRef
from scopebound_engine.decision.facts import Call, build
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.inheritance import effective
from scopebound_engine.role.model import Role
from scopebound_engine.session.claims import claims_of
from scopebound_engine.session.state.seam import UNLIMITED, SessionFacts, Window
from scopebound_engine.verdict import Verdict

MONDAY_NOON = datetime(2026, 4, 27, 12, tzinfo=UTC)
WEDNESDAY_NOON = "2026-04-29T12:00:00Z"
SESSION = SessionFacts(UNLIMITED, UNLIMITED)


@pytest.fixture(scope="module")
def active() -> Iterator[ActiveBundle]:
    key = SigningKey.generate("es256")
    trusted = TrustedKey(key.private.public_key(), key.algorithm, key.key_id, "test")
    files = build_bundle(SHIPPED / "policies", SHIPPED / "manifest.json")
    data = archive.write(files | {SIGNATURES: sign(files, key)})
    made = ActiveBundle(evaluators=1, evaluation_seconds=1.0)
    bundle = verify(data, TrustedKeys((trusted,)))
    made.prepare(bundle)
    assert made.promote(BundleRef("b", "1", bundle.checksum, 1))
    yield made
    made.close()


def epoch(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def sent(value: Any) -> Any:
    """A value as it arrives: strict JSON gives every number one spelling."""
    return strict_json.loads(json.dumps(value).encode())


def role(name: str = "agent", **fields: Any) -> Role:
    given = parse(RoleFields, sent({"name": name, "allowed_tools": ["pay"], **fields}))
    now = datetime.now(UTC)
    return Role(**given.document(), id="r", revision=1, created_at=now, updated_at=now)


def document(
    *chain: Role,
    call_args: Mapping[str, Any] | None = None,
    at: str = WEDNESDAY_NOON,
    session: SessionFacts = SESSION,
    mcp_server: str | None = None,
) -> dict[str, Any]:
    """The input of a call to `pay`, a minute after the session began."""
    now = epoch(at)
    claims = {"iss": "i", "aud": "a"} | claims_of(effective(chain), "s", now - 60, 3600)
    action = "mcp_tool_call" if mcp_server else "tool_call"
    call = Call(action, "pay", sent(call_args or {}), "call-1", mcp_server)
    return build(call, claims, now * 1000, session)


def judged(active: ActiveBundle, facts: Mapping[str, Any]) -> Verdict:
    assert active.current is not None
    return active.current.pool.evaluate(facts, time.monotonic() + 5)


def codes(active: ActiveBundle, facts: Mapping[str, Any]) -> list[str]:
    return [violation.code for violation in judged(active, facts).violations]


def rule(operator: str, value: Any, field: str = "a", **more: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value, **more}


LT, GT, EQ = rule("lt", 5), rule("gt", 5), rule("eq", 1)
IN = rule("in", [1, "x", None, [1], {"k": 1}])
HAS, RE = rule("contains", "ok"), rule("regex", "^ok$")
DOT = rule("eq", 1, "a.b")
NEEDED = rule("lt", 5, required=True)
BIG = 2**63 + 1


@pytest.mark.parametrize(
    ("constraint", "satisfying", "violating"),
    [
        (LT, [4, 4.999, -1, 0, -1e300], [5, 5.0, 6, BIG, "4", "", True, False, None, [4], {}]),
        (GT, [6, 5.001, BIG, 1e300], [5, 4, -6, "6", True, False, None, [6], {}]),
        (EQ, [1, 1.0], ["1", True, 1.5, 0, None, [1], {"a": 1}, ""]),
        (rule("eq", True), [True], [1, "true", False, None]),
        (rule("eq", None), [None], [0, "", False, [], {}]),
        (rule("eq", BIG), [BIG], [BIG + 1, BIG - 1, float(BIG), str(BIG)]),
        (rule("eq", {"k": [1]}), [{"k": [1]}, {"k": [1.0]}], [{"k": ["1"]}, {"k": [1], "l": 1}]),
        (IN, [1, 1.0, "x", None, [1], {"k": 1}], ["1", True, "X", 2, [], {}, {"k": 2}, [[1]]]),
        (rule("in", []), [], [1, None, []]),
        (HAS, ["ok", "is ok.", "\n ok"], ["OK", "o k", "", None, 1, True, ["ok"], {"ok": "ok"}]),
        (RE, ["ok"], ["ok\n", " ok", "no\nok", "ok\n\nok", "", None, 0, ["ok"], {"ok": 1}]),
        (rule("regex", "ok"), ["ok", "not ok!", "a\nok\nb"], ["OK", "o\nk"]),
        (rule("regex", "^a|b$"), ["a", "axe", "bulb"], ["cab ", "xa"]),
        (rule("regex", "^(?!no)[a-z]+$"), ["yes", "on"], ["no", "not", "1"]),
    ],
    ids=lambda value: f"{value['operator']} {value['value']}" if type(value) is dict else "",
)
def test_an_argument_satisfies_its_operator_or_violates_it(
    active: ActiveBundle, constraint: dict[str, Any], satisfying: list[Any], violating: list[Any]
) -> None:
    agent = role(parameter_constraints={"pay": [constraint]})
    for value in satisfying:
        assert codes(active, document(agent, call_args={"a": value})) == [], value
    for value in violating:
        found = codes(active, document(agent, call_args={"a": value}))
        assert found == ["PARAMETER_VIOLATION"], value


@pytest.mark.parametrize("constraint", [LT, GT, EQ, IN, HAS, RE, DOT], ids=str)
def test_an_absent_argument_is_skipped_unless_it_is_required(
    active: ActiveBundle, constraint: dict[str, Any]
) -> None:
    for call_args in ({}, {"A": 9}, {"b": 9}):
        skipped = role(parameter_constraints={"pay": [constraint]})
        assert codes(active, document(skipped, call_args=call_args)) == []
        required = role(parameter_constraints={"pay": [constraint | {"required": True}]})
        (violation,) = judged(active, document(required, call_args=call_args)).violations
        assert violation.code == "PARAMETER_VIOLATION"
        assert "is required" in violation.reason


def test_a_required_argument_that_is_null_is_there_and_wrong(active: ActiveBundle) -> None:
    agent = role(parameter_constraints={"pay": [NEEDED]})
    (violation,) = judged(active, document(agent, call_args={"a": None})).violations
    assert "wrong type" in violation.reason
    assert codes(active, document(agent, call_args={"a": 4})) == []


@pytest.mark.parametrize(
    ("call_args", "violations"),
    [
        ({"a.b": 1}, 0),
        ({"a": {"b": 1}}, 0),
        ({"a": {"b": 1}, "a.b": 1}, 0),
        ({"a": {"c": 9}}, 0),
        ({"a": {}, "a.b": 1}, 0),
        ({"a.b": 2}, 1),
        ({"a": {"b": 2}}, 1),
        ({"a": {"b": 1}, "a.b": 2}, 1),
        ({"a": {"b": 2}, "a.b": 1}, 1),
        ({"a": {"b": 2}, "a.b": 2}, 1),
        ({"a": {"b": 2}, "a.b": 3}, 2),
        ({"a": {"b": None}}, 1),
        ({"a": [{"b": 1}]}, 1),
        ({"a": []}, 1),
        ({"a": "b"}, 1),
        ({"a": None}, 1),
        ({"a": 1}, 1),
        ({"a": True}, 1),
        ({"a": None, "a.b": 1}, 1),
    ],
    ids=str,
)
def test_a_dotted_field_is_judged_as_key_and_as_path(
    active: ActiveBundle, call_args: dict[str, Any], violations: int
) -> None:
    agent = role(parameter_constraints={"pay": [DOT]})
    found = codes(active, document(agent, call_args=call_args))
    assert found == ["PARAMETER_VIOLATION"] * violations


def test_all_constraints_of_a_tool_have_to_hold_those_of_its_ancestors_too(
    active: ActiveBundle,
) -> None:
    eldest = role("eldest", parameter_constraints={"pay": [GT]})
    parent = role("parent", parameter_constraints={"pay": [rule("lt", 10)]})
    child = role("child", parameter_constraints={"pay": [rule("lt", 100)], "other": [LT]})
    for value, allowed in ((6, True), (9, True), (5, False), (10, False), (50, False)):
        found = codes(active, document(child, parent, eldest, call_args={"a": value}))
        assert (found == []) is allowed, value


def test_a_value_too_long_for_its_patterns_is_a_violation(active: ActiveBundle) -> None:
    slow = role(parameter_constraints={"pay": [rule("regex", "^(?:[a-z]{0,30}-){20}$")]})
    (violation,) = judged(active, document(slow, call_args={"a": "a" * 200_000})).violations
    assert violation.code == "PARAMETER_VIOLATION"


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (0, 0, range(24)),
        (8, 20, range(8, 20)),
        (0, 1, range(1)),
        (23, 0, [23]),
        (1, 0, range(1, 24)),
        (22, 6, [*range(6), 22, 23]),
        (12, 11, [*range(11), *range(12, 24)]),
        (23, 1, [0, 23]),
    ],
)
def test_hours_at_their_edges(
    active: ActiveBundle, start: int, end: int, hours: list[int] | range
) -> None:
    agent = role(allowed_hours_start=start, allowed_hours_end=end)
    for hour in range(24):
        for minutes in ("00:00", "59:59"):
            found = codes(active, document(agent, at=f"2026-04-29T{hour:02}:{minutes}Z"))
            assert found == ([] if hour in hours else ["TIME_VIOLATION"]), hour


def test_over_midnight_the_day_is_that_of_the_call(active: ActiveBundle) -> None:
    agent = role(allowed_hours_start=22, allowed_hours_end=6, allowed_days=[2])  # Wednesday
    for moment, expected in (
        ("2026-04-28T23:59:59Z", ["TIME_VIOLATION"]),
        ("2026-04-29T00:00:00Z", []),
        ("2026-04-29T05:59:59Z", []),
        ("2026-04-29T06:00:00Z", ["TIME_VIOLATION"]),
        ("2026-04-29T23:59:59Z", []),
        ("2026-04-30T00:00:00Z", ["TIME_VIOLATION"]),
    ):
        assert codes(active, document(agent, at=moment)) == expected, moment


@pytest.mark.parametrize("days", [[], [0], [5, 6], [0, 1, 2, 3, 4, 5, 6]])
def test_no_days_are_all_days(active: ActiveBundle, days: list[int]) -> None:
    agent = role(allowed_days=days)
    for number in range(7):
        noon = MONDAY_NOON + timedelta(days=number)
        found = codes(active, document(agent, at=noon.isoformat()))
        assert found == ([] if not days or number in days else ["TIME_VIOLATION"]), number


SCOPED = {"data_scope": {"allowed_envs": ["staging"], "max_rows": 1000}}
FREE: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("fields", "call_args", "expected"),
    [
        (SCOPED, {}, []),
        (SCOPED, {"env": None, "limit": None}, []),
        (SCOPED, {"env": "staging", "limit": 1000}, []),
        (SCOPED, {"env": "staging", "limit": 1000.0}, []),
        (SCOPED, {"limit": 1}, []),
        (SCOPED, {"Env": "production", "LIMIT": 10**6}, []),
        (SCOPED, {"env": "production"}, ["ENV_VIOLATION"]),
        (SCOPED, {"env": "Staging"}, ["ENV_VIOLATION"]),
        (SCOPED, {"env": ""}, ["ENV_VIOLATION"]),
        (SCOPED, {"env": ["staging"]}, ["ENV_VIOLATION"]),
        (SCOPED, {"env": {"staging": 1}}, ["ENV_VIOLATION"]),
        (SCOPED, {"env": 0}, ["ENV_VIOLATION"]),
        (SCOPED, {"env": False}, ["ENV_VIOLATION"]),
        (SCOPED, {"limit": 1001}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": BIG}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": 0}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": -1}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": 1.5}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": "10"}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": True}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"limit": []}, ["DATA_LIMIT_EXCEEDED"]),
        (SCOPED, {"env": 1, "limit": -1}, ["ENV_VIOLATION", "DATA_LIMIT_EXCEEDED"]),
        (FREE, {"env": ["anything"], "limit": -1}, []),
    ],
    ids=str,
)
def test_environment_and_rows(
    active: ActiveBundle, fields: dict[str, Any], call_args: dict[str, Any], expected: list[str]
) -> None:
    assert codes(active, document(role(**fields), call_args=call_args)) == expected


@pytest.mark.parametrize("reason", ["role suspended: key leaked", "role deleted", ""])
def test_a_revoked_session_is_denied_first_and_told_not_to_try_again(
    active: ActiveBundle, reason: str
) -> None:
    empty = Window(5, False, 0, 12)
    facts = document(role(), session=SessionFacts(empty, empty, revoked_reason=reason))
    first, second = judged(active, facts).violations
    assert (first.code, first.severity, first.retry_guidance) == ("SESSION_EXPIRED", "low", "none")
    assert reason in first.reason
    assert second.code == "RATE_LIMIT_EXCEEDED"


EMPTY, LEFT = Window(5, False, 0, 12), Window(9, True, 3, 0)


@pytest.mark.parametrize(
    ("minute", "hour", "server", "reason"),
    [
        (LEFT, LEFT, LEFT, None),
        (LEFT, LEFT, EMPTY, 'calls per minute to the MCP server "erp" is used up; wait 12 s'),
        (Window(7, False, 0, 13), LEFT, EMPTY, "7 calls per minute is used up; wait 13 s"),
        (EMPTY, Window(7, False, 0, 900), EMPTY, "7 calls per hour is used up; wait 900 s"),
        (EMPTY, LEFT, Window(1, False, 0, 60), '1 calls per minute to the MCP server "erp"'),
    ],
)
def test_of_the_buckets_of_a_call_the_one_that_fills_last_is_named(
    active: ActiveBundle, minute: Window, hour: Window, server: Window, reason: str | None
) -> None:
    agent = role(mcp_server_rate_limits={"erp": 9})
    facts = document(agent, session=SessionFacts(minute, hour, server), mcp_server="erp")
    found = [violation.reason for violation in judged(active, facts).violations]
    assert len(found) == (reason is not None)
    assert all(reason in one for one in found if reason)


NEEDED_FACTS = {
    ("action",),
    ("tool_name",),
    ("call_args",),
    ("constraints",),
    ("now", "epoch_ms"),
    ("now", "hour"),
    ("now", "weekday"),
    ("session", "revoked"),
    ("session", "rate", "minute", "granted"),
    ("session", "rate", "hour", "granted"),
    ("session", "rate", "server", "granted"),
    ("session", "drift", "ready"),
    ("session", "drift", "log_evidence"),
    ("session", "drift", "latched"),
    ("session", "drift", "calls"),
    ("session", "drift", "baseline_sessions"),
    ("claims", "exp"),
    ("claims", "allowed_tools"),
    ("claims", "allowed_hours_start"),
    ("claims", "allowed_hours_end"),
    ("claims", "allowed_days"),
    ("claims", "data_scope", "allowed_envs"),
    ("claims", "data_scope", "max_rows"),
    ("claims", "bound", "approval_required"),
    ("claims", "bound", "allowed_mcp_servers"),
}


def paths(value: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of the document, and every object that holds some."""
    if isinstance(value, dict) and above != ("call_args",):
        for name, inner in value.items():
            yield (*above, name)
            yield from paths(inner, (*above, name))


def without(facts: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(facts)
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return changed


def test_a_fact_that_is_missing_is_a_denial_never_silence(active: ActiveBundle) -> None:
    agent = role(
        allowed_mcp_servers=["erp"],
        mcp_server_rate_limits={"erp": 9},
        parameter_constraints={"pay": [LT]},
    )
    session = SessionFacts(UNLIMITED, UNLIMITED, server=Window(9, True, 8, 0))
    whole = document(agent, call_args={"a": 4}, mcp_server="erp", session=session)
    assert codes(active, whole) == []
    denied = {path for path in paths(whole) if codes(active, without(whole, path))}
    needed = {
        path for path in paths(whole) if any(fact[: len(path)] == path for fact in NEEDED_FACTS)
    }
    assert denied == needed | {("mcp_server",)}
