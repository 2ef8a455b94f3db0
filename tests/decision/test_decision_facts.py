"""The Rego input: its shape, the two readings of a field, and what is left out."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.bundle.format.matcher_specs import MatcherSpec
from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.decision.facts import Call, build
from scopebound_engine.matching.patterns import MAX_MATCHING_STEPS
from scopebound_engine.session.drift.evidence import Baseline, log_evidence
from scopebound_engine.session.state.seam import SessionFacts, Window

SESSION = SessionFacts(
    minute=Window(limit=30, granted=True, remaining=29, retry_after_seconds=0),
    hour=Window(limit=0, granted=True, remaining=0, retry_after_seconds=0),
)
# 2026-04-29 was a Wednesday.
WEDNESDAY_MS = int(datetime(2026, 4, 29, 7, 59, 59, 999_000, UTC).timestamp() * 1000)
CLAIMS: dict[str, Any] = {
    "sub": "agent:3bcedc38-a87a-4c2a-bc50-7693cb90af2d",
    "jti": "47bb16ec-e06a-4090-9a4a-e0873e680545",
    "allowed_tools": ["pay", "send_email"],
    "parameter_constraints": {
        "send_email": [
            {"field": "to", "operator": "regex", "value": r"@company\.com$", "required": False}
        ]
    },
}


def constrained(field: str, operator: str, value: Any, required: bool = False) -> dict[str, Any]:
    rule = {"field": field, "operator": operator, "value": value, "required": required}
    return {**CLAIMS, "parameter_constraints": {"pay": [rule]}}


def constraints(claims: dict[str, Any], call_args: dict[str, Any], tool: str = "pay") -> Any:
    call = Call("tool_call", tool, call_args, "call-1")
    return build(call, claims, WEDNESDAY_MS, SESSION)["constraints"]


def findings(operator: str, value: Any, call_args: dict[str, Any], field: str = "a.b") -> Any:
    own = {"field", "operator", "value", "required"}
    return [
        {name: fact for name, fact in entry.items() if name not in own}
        for entry in constraints(constrained(field, operator, value), call_args)
    ]


def test_the_document_has_the_contracts_shape() -> None:
    call = Call("mcp_tool_call", "send_email", {"to": "a@company.com"}, "call-1", "mail")

    assert build(call, CLAIMS, WEDNESDAY_MS, SESSION) == {
        "action": "mcp_tool_call",
        "tool_name": "send_email",
        "call_args": {"to": "a@company.com"},
        "call_id": "call-1",
        "mcp_server": "mail",
        "claims": {
            "sub": CLAIMS["sub"],
            "jti": CLAIMS["jti"],
            "allowed_tools": ["pay", "send_email"],
        },
        "constraints": [
            {
                "field": "to",
                "operator": "regex",
                "value": r"@company\.com$",
                "required": False,
                "present": True,
                "fit": True,
                "actual": "a@company.com",
                "matched": True,
            }
        ],
        "matches": {},
        "now": {"epoch_ms": WEDNESDAY_MS, "hour": 7, "weekday": 2},
        "session": {
            "rate": {
                "minute": {"limit": 30, "granted": True, "remaining": 29, "retry_after_seconds": 0},
                "hour": {"limit": 0, "granted": True, "remaining": 0, "retry_after_seconds": 0},
            },
            "drift": {
                "ready": False,
                "log_evidence": 0,
                "latched": False,
                "calls": 1,
                "baseline_sessions": 0,
            },
            "revoked": False,
            "revoked_reason": None,
        },
    }


@pytest.mark.parametrize("reason", ["role deleted", ""])
def test_a_revoked_session_carries_its_reason(reason: str) -> None:
    revoked = SessionFacts(SESSION.minute, SESSION.hour, revoked_reason=reason)
    session = build(Call("tool_call", "pay", {}, "c"), CLAIMS, WEDNESDAY_MS, revoked)["session"]

    assert (session["revoked"], session["revoked_reason"]) == (True, reason)


def test_a_delegation_carries_the_child() -> None:
    child = {"role": "reader", "allowed_tools": ["read"], "ttl_seconds": 60}
    document = build(Call("delegate", None, {}, "c"), CLAIMS, WEDNESDAY_MS, SESSION, child)

    assert document["child"] == child
    assert document["tool_name"] is None
    assert document["constraints"] == []


def test_what_the_bundles_matchers_say_is_a_fact() -> None:
    specs = {
        "tool": MatcherSpec("/tool_name", "prefix", ("pa",)),
        "server": MatcherSpec("/mcp_server", "suffix", ("x",)),
        "child": MatcherSpec("/child/role", "glob", ("read*",)),
        "amount": MatcherSpec("/call_args/amount", "regex", ("^1",)),
    }
    call = Call("tool_call", "pay", {"amount": 1}, "c")
    child = {"role": "reader", "allowed_tools": ["read"], "ttl_seconds": 60}
    facts = build(call, CLAIMS, WEDNESDAY_MS, SESSION, child, Matchers(specs))

    answers = {"tool": "yes", "server": "absent", "child": "yes", "amount": "unfit"}
    assert facts["matches"] == answers


def test_an_unconstrained_tool_has_no_constraints() -> None:
    assert constraints(CLAIMS, {"to": "x"}, tool="pay") == []


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_hour_and_weekday_are_those_of_the_calendar(moment: datetime) -> None:
    now_ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    now = build(Call("tool_call", "pay", {}, "c"), CLAIMS, now_ms, SESSION)["now"]

    assert now == {"epoch_ms": now_ms, "hour": moment.hour, "weekday": moment.weekday()}


ABSENT = {"present": False, "fit": True}
UNFIT = {"present": True, "fit": False}


def fit(actual: Any, **matched: bool) -> dict[str, Any]:
    return {"present": True, "fit": True, "actual": actual, **matched}


@pytest.mark.parametrize(
    ("call_args", "expected"),
    [
        ({}, [ABSENT]),
        ({"b": 1}, [ABSENT]),
        ({"a.b": 1}, [fit(1)]),
        ({"a": {"b": 1}}, [fit(1)]),
        ({"a.b": 1, "a": {"b": 2}}, [fit(1), fit(2)]),
        ({"a": {}}, [ABSENT]),
        ({"a": {}, "a.b": 1}, [fit(1)]),
        ({"a": {"b": None}}, [fit(None)]),
        ({"a": None}, [UNFIT]),
        ({"a": "b"}, [UNFIT]),
        ({"a": [1]}, [UNFIT]),
        ({"a": 1}, [UNFIT]),
        ({"a": True}, [UNFIT]),
        ({"a": "x", "a.b": 1}, [fit(1), UNFIT]),
    ],
)
def test_a_dotted_field_is_read_as_a_key_and_as_a_path(
    call_args: dict[str, Any], expected: list[Any]
) -> None:
    assert findings("eq", 1, call_args) == expected


def test_a_field_without_a_dot_has_one_reading() -> None:
    assert findings("eq", 1, {"amount": {"amount": 1}}, "amount") == [fit({"amount": 1})]
    assert findings("eq", 1, {}, "amount") == [ABSENT]


def test_a_long_path_goes_through_objects_only() -> None:
    assert findings("eq", 1, {"a": {"b": {"c": 1}}}, "a.b.c") == [fit(1)]
    assert findings("eq", 1, {"a": {"b": []}}, "a.b.c") == [UNFIT]
    assert findings("eq", 1, {"a": {"x": []}}, "a.b.c") == [ABSENT]


KEYS = st.sampled_from(["a", "b", "a.b", "b.a", "a.a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=3), st.sampled_from(["a", "a.b", "b.a", "a.a.b"]))
def test_every_value_that_either_reading_finds_is_judged(
    call_args: dict[str, Any], field: str
) -> None:
    found = findings("eq", 1, call_args, field)
    expected = [call_args[field]] if field in call_args else []
    value: Any = call_args
    for key in field.split(".") if "." in field else []:
        value = value.get(key, ABSENT) if isinstance(value, dict) and value is not ABSENT else UNFIT
        if value is ABSENT or value is UNFIT:
            break
    blocked = value is UNFIT
    if "." in field and value is not ABSENT and not blocked:
        expected.append(value)

    assert [entry["actual"] for entry in found if "actual" in entry] == expected
    assert (UNFIT in found) is blocked
    assert (ABSENT in found) is (not expected and not blocked)


@pytest.mark.parametrize("operator", ["lt", "gt"])
@pytest.mark.parametrize(
    ("actual", "number"),
    [(1, True), (1.5, True), (True, False), ("1", False), (None, False), ([], False), ({}, False)],
)
def test_only_numbers_are_fit_to_be_compared(operator: str, actual: Any, number: bool) -> None:
    assert findings(operator, 5, {"n": actual}, "n") == [fit(actual) if number else UNFIT]


@pytest.mark.parametrize("operator", ["contains", "regex"])
@pytest.mark.parametrize("actual", [1, True, None, ["approved"], {"approved": 1}])
def test_only_strings_are_fit_to_be_matched(operator: str, actual: Any) -> None:
    assert findings(operator, "approved", {"n": actual}, "n") == [UNFIT]


@pytest.mark.parametrize(
    ("operator", "value", "actual", "matched"),
    [
        ("contains", "approved", "was approved.", True),
        ("contains", "approved", "Approved", False),
        ("contains", ".*", "approved", False),
        ("contains", "\n", 'a"\n', True),
        ("regex", "^a$", "a", True),
        ("regex", "^a$", "a\n", False),
        ("regex", "^é.$", "é🙂", True),
        ("regex", "^(?!main$).+$", "main", False),
    ],
)
def test_text_is_matched_on_the_real_string(
    operator: str, value: str, actual: str, matched: bool
) -> None:
    assert findings(operator, value, {"n": actual}, "n") == [fit(actual, matched=matched)]


@pytest.mark.parametrize("operator", ["eq", "in"])
def test_any_value_is_fit_to_be_equal(operator: str) -> None:
    for actual in (None, True, 1, 1.5, "a", [1], {"a": 1}):
        assert findings(operator, [1], {"n": actual}, "n") == [fit(actual)]


def test_a_pattern_that_does_not_compile_is_not_judged() -> None:
    assert findings("regex", "(", {"n": "("}, "n") == [UNFIT]


def test_values_too_long_for_their_patterns_are_not_judged() -> None:
    slow = "^(?:[a-z]{0,30}-){20}$"
    text = "a" * 200_000

    assert findings("regex", slow, {"n": text}, "n") == [UNFIT]
    assert findings("regex", slow, {"n": text[:2000]}, "n") == [fit(text[:2000], matched=False)]
    assert findings("regex", r"^https://", {"n": text}, "n") == [fit(text, matched=False)]


def test_the_patterns_of_one_call_share_their_time() -> None:
    text = "a" * 1_000_000
    rule = {"field": "n", "operator": "contains", "value": "b", "required": False}
    claims = {**CLAIMS, "parameter_constraints": {"pay": [rule] * 40}}
    judged = [entry["fit"] for entry in constraints(claims, {"n": text})]

    assert judged == [True] * (MAX_MATCHING_STEPS // len(text)) + [False] * 7


@pytest.mark.parametrize(
    "ill_formed",
    [
        None,
        [],
        "pay",
        {"pay": None},
        {"pay": {}},
        {"pay": ["amount < 5"]},
        {"pay": [{"field": "a", "operator": "eq", "required": False}]},
        {"pay": [{"field": 1, "operator": "eq", "value": 1, "required": False}]},
        {"pay": [{"field": "a", "operator": "eq", "value": 1}]},
    ],
)
def test_ill_formed_constraints_are_left_out_so_that_the_policy_denies(ill_formed: Any) -> None:
    claims = {**CLAIMS, "parameter_constraints": ill_formed}
    document = build(Call("tool_call", "pay", {"a": 1}, "c"), claims, WEDNESDAY_MS, SESSION)

    assert "constraints" not in document


def test_missing_constraints_are_left_out() -> None:
    claims = {name: claim for name, claim in CLAIMS.items() if name != "parameter_constraints"}

    assert "constraints" not in build(Call("tool_call", "pay", {}, "c"), claims, 0, SESSION)


def test_a_constraint_the_claims_call_required_says_so() -> None:
    (entry,) = constraints(constrained("a", "eq", 1, required=True), {})

    assert entry == {"field": "a", "operator": "eq", "value": 1, "required": True, **ABSENT}


def test_the_claims_are_never_changed() -> None:
    before = copy.deepcopy(CLAIMS)
    document = build(Call("tool_call", "send_email", {"to": "a"}, "c"), CLAIMS, 0, SESSION)
    document["claims"]["sub"] = document["constraints"][0]["value"] = "changed"
    document["session"]["drift"]["ready"] = True

    assert before == CLAIMS
    again = build(Call("tool_call", "send_email", {"to": "a"}, "c"), CLAIMS, 0, SESSION)
    assert again["session"]["drift"]["ready"] is False


def test_the_document_is_json() -> None:
    document = build(Call("tool_call", "send_email", {"to": "ä"}, "c"), CLAIMS, 0, SESSION)

    assert strict_json.loads(strict_json.dumps(document)) == document


@pytest.mark.parametrize("operator", ["eq", "in"])
@pytest.mark.parametrize(
    ("value", "actual"),
    [
        (100, 100.00000000000001),
        (0.1, 0.10000000000000002),
        (1e-300, 1.0000000000000002e-300),
        ([1, {"a": 0.5}], [1, {"a": 0.5000000000000001}]),
    ],
)
def test_what_the_engine_could_take_for_equal_is_unfit(
    operator: str, value: Any, actual: Any
) -> None:
    expected = [value] if operator == "in" else value
    assert findings(operator, expected, {"n": actual}, "n") == [{"present": True, "fit": False}]


@pytest.mark.parametrize("operator", ["eq", "in"])
@pytest.mark.parametrize(
    ("value", "actual"),
    [
        (100, 100),
        (0.1, 0.1),
        (0.30000000000000004, 0.30000000000000004),
        (1.5, 2.5),
        (1.5, "1.5"),
        ([0.1, 1], [0.1, 2]),
        (100, True),
        (100, None),
    ],
)
def test_what_the_engine_compares_exactly_is_fit(operator: str, value: Any, actual: Any) -> None:
    expected = [value] if operator == "in" else value
    assert findings(operator, expected, {"n": actual}, "n") == [fit(actual)]


LIMITED = {**CLAIMS, "bound": {"mcp_server_rate_limits": {"mail": 60, "files": 5}}}
NONE_LEFT = Window(limit=60, granted=False, remaining=0, retry_after_seconds=9)


def test_a_server_that_the_role_limits_has_a_window_of_its_own() -> None:
    call = Call("mcp_tool_call", "pay", {}, "c", "mail")
    found = SessionFacts(SESSION.minute, SESSION.hour, NONE_LEFT)
    document = build(call, LIMITED, WEDNESDAY_MS, found)

    assert document["session"]["rate"]["server"] == {
        "limit": 60,
        "granted": False,
        "remaining": 0,
        "retry_after_seconds": 9,
    }
    assert document["claims"]["bound"] == {"mcp_server_rate_limits": {"mail": 60}}


@pytest.mark.parametrize("server", [None, "erp"])
def test_what_the_role_limits_elsewhere_is_left_out(server: str | None) -> None:
    call = Call("mcp_tool_call", "pay", {}, "c", server)
    document = build(call, LIMITED, WEDNESDAY_MS, SESSION)

    assert set(document["session"]["rate"]) == {"minute", "hour"}
    assert document["claims"]["bound"] == {"mcp_server_rate_limits": {}}
    assert LIMITED["bound"] == {"mcp_server_rate_limits": {"mail": 60, "files": 5}}


def test_what_a_token_says_to_the_log_is_no_policys_business() -> None:
    bound = {"approval_required": ["read"], "role_revision": 3, "log_mask": ["/call_args/iban"]}
    document = build(Call("tool_call", "read", {}, "1"), {"bound": bound}, WEDNESDAY_MS, SESSION)

    assert document["claims"]["bound"] == {"approval_required": ["read"]}


def test_a_token_that_does_not_speak_of_servers_stays_as_it_is() -> None:
    claims = {**CLAIMS, "bound": {"approval_required": []}}
    call = Call("mcp_tool_call", "pay", {}, "c", "mail")

    assert build(call, claims, WEDNESDAY_MS, SESSION)["claims"]["bound"] == claims["bound"]


BASELINE = Baseline(("pay", "send_email"), (0.9, 0.05, 0.05), 30.0, sessions=50, calls=900)


def drift(tool: str | None, counts: tuple[int, ...], **found: Any) -> dict[str, Any]:
    action = "tool_call" if tool else "delegate"
    session = SessionFacts(SESSION.minute, SESSION.hour, counts=counts, **found)
    document = build(Call(action, tool, {}, "c"), CLAIMS, 0, session, baseline=BASELINE)
    return dict(document["session"]["drift"])


@pytest.mark.parametrize(
    ("tool", "counted"),
    [
        ("pay", {"pay": 4, "send_email": 1, "": 2}),
        ("send_email", {"pay": 3, "send_email": 2, "": 2}),
        ("drop_table", {"pay": 3, "send_email": 1, "": 3}),
        (None, {"pay": 3, "send_email": 1, "": 2}),
    ],
)
def test_the_evidence_is_of_the_calls_before_and_of_this_one(
    tool: str | None, counted: dict[str, int]
) -> None:
    assert drift(tool, (3, 1, 2)) == {
        "ready": True,
        "log_evidence": round(log_evidence(counted, BASELINE), 6),
        "latched": False,
        "calls": sum(counted.values()),
        "baseline_sessions": 50,
    }


def test_a_session_without_calls_has_this_one() -> None:
    assert drift("pay", ())["calls"] == drift("pay", (0, 0, 0))["calls"] == 1


def test_without_a_baseline_there_is_no_evidence() -> None:
    session = SessionFacts(SESSION.minute, SESSION.hour, counts=(90, 0, 9), latched=True)
    document = build(Call("tool_call", "pay", {}, "c"), CLAIMS, 0, session)

    assert document["session"]["drift"] == {
        "ready": False,
        "log_evidence": 0,
        "latched": True,
        "calls": 100,
        "baseline_sessions": 0,
    }


def test_a_session_that_was_latched_says_so() -> None:
    assert drift("pay", (1, 1, 1), latched=True)["latched"] is True


def test_evidence_of_next_to_nothing_is_zero_in_its_one_spelling() -> None:
    baseline = Baseline(("pay",), (0.5, 0.5), 0.9999999, sessions=50, calls=900)
    assert -1e-6 < log_evidence({"pay": 3}, baseline) < 0
    session = SessionFacts(SESSION.minute, SESSION.hour, counts=(2, 0, 0))
    document = build(Call("tool_call", "pay", {}, "c"), CLAIMS, 0, session, baseline=baseline)

    assert str(document["session"]["drift"]["log_evidence"]) == "0"
