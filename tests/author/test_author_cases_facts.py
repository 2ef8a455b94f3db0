import json
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.author import facts_file
from scopebound_engine.author.cases import files as case_files
from scopebound_engine.author.cases.facts import facts_of
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.matchers import EMPTY, Matchers
from scopebound_engine.errors import FindingsError

ROOT = Path(__file__).parents[2]
ROLES = """\
roles:
  clerk:
    allowed_tools: [read, pay]
    default_ttl_seconds: 600
    rate_limit_per_minute: 30
    max_delegation_depth: 1
    mcp_server_rate_limits: {bank: 5}
    parameter_constraints:
      pay: [{field: amount, operator: lt, value: 10}]
  boss:
    allowed_tools: [sign]
    parent_role_id: clerk
"""


def facts(tmp_path: Path, *lines: str, matchers: Matchers = EMPTY) -> dict[str, Any]:
    path = tmp_path / "a_cases.yaml"
    case = "".join(f"    {line}\n" for line in (*lines, "expect: allow"))
    path.write_text(f"{ROLES}cases:\n  - name: one\n{case}")
    (read,) = case_files.read({"a_cases.yaml": path})
    return facts_of(read, matchers)


def test_they_are_those_of_a_call_in_a_new_session(tmp_path: Path) -> None:
    found = facts(tmp_path, "role: clerk", "call: {tool_name: pay, call_args: {amount: 5}}")
    assert facts_file.fits(found)
    assert (found["action"], found["tool_name"], found["call_args"]) == (
        "tool_call",
        "pay",
        {"amount": 5},
    )
    assert found["now"] == {"epoch_ms": 1_795_003_200_000, "hour": 12, "weekday": 2}
    claims = found["claims"]
    assert (claims["role"], claims["allowed_tools"]) == ("clerk", ["read", "pay"])
    assert (claims["iat"], claims["exp"]) == (1_795_003_140, 1_795_003_740)
    assert "parameter_constraints" not in claims
    assert found["constraints"] == [
        {
            "field": "amount",
            "operator": "lt",
            "value": 10,
            "required": False,
            "present": True,
            "fit": True,
            "actual": 5,
        }
    ]
    assert found["session"]["rate"]["minute"] == {
        "limit": 30,
        "granted": True,
        "remaining": 29,
        "retry_after_seconds": 0,
    }
    assert found["session"]["revoked"] is False


def test_time_is_that_of_the_case(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        "role: clerk",
        "call: {tool_name: read}",
        'at: "2026-11-22T03:30:00+01:00"',
        'provisioned: "2026-11-22T02:00:00Z"',
    )
    assert found["now"]["hour"], found["now"]["weekday"] == (2, 6)
    assert found["claims"]["exp"] * 1_000 == found["now"]["epoch_ms"] - 1_200_000


def test_an_mcp_call_meets_the_limit_of_its_server(tmp_path: Path) -> None:
    found = facts(tmp_path, "role: clerk", "call: {tool_name: read, mcp_server: bank}")
    assert (found["action"], found["mcp_server"]) == ("mcp_tool_call", "bank")
    assert found["session"]["rate"]["server"]["remaining"] == 4


def test_a_role_has_what_its_parent_grants(tmp_path: Path) -> None:
    found = facts(tmp_path, "role: boss", "call: {tool_name: pay, call_args: {amount: 50}}")
    assert found["claims"]["allowed_tools"] == ["read", "pay", "sign"]
    assert [one["field"] for one in found["constraints"]] == ["amount"]


def test_a_session_that_is_asked_for_is_a_fact(tmp_path: Path) -> None:
    found = facts(tmp_path, "role: clerk", "spawn: {role: boss, ttl_seconds: 90}")
    assert (found["action"], found["tool_name"]) == ("delegate", None)
    assert found["child"] == {
        "role": "boss",
        "allowed_tools": ["read", "pay", "sign"],
        "ttl_seconds": 90,
    }


def test_facts_of_the_session_are_overridden_one_by_one(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        "role: clerk",
        "call: {tool_name: read}",
        "session: {revoked: true, rate: {minute: {granted: false, remaining: 0}}}",
    )
    assert found["session"]["revoked"] is True
    assert found["session"]["rate"]["minute"]["limit"] == 30
    assert found["session"]["rate"]["minute"]["granted"] is False
    assert found["session"]["rate"]["hour"]["granted"] is True


def test_matchers_are_asked_also_of_facts_that_are_given_whole(tmp_path: Path) -> None:
    manifest = (ROOT / "manifest.json").read_text()
    spec = '"matchers": {"paid": {"path": "/call_args/to", "suffix": ".de"}}'
    with_matcher = Manifest.of({"manifest.json": manifest.replace('"matchers": {}', spec).encode()})
    matchers = Matchers.of(with_matcher)
    call = "call: {tool_name: pay, call_args: {to: shop.de}}"
    made = facts(tmp_path, "role: clerk", call, matchers=matchers)
    assert made["matches"] == {"paid": "yes"}
    del made["matches"]
    made["call_args"]["to"] = "shop.com"
    given = facts(tmp_path, f"input: {json.dumps(made)}", matchers=matchers)
    assert given == made | {"matches": {"paid": "no"}}
    made["matches"] = {"paid": "unfit"}
    assert facts(tmp_path, f"input: {json.dumps(made)}", matchers=matchers) == made


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("input: {tool: x}",), "case one: /action is missing"),
        (("role: clerk", "call: {tool_name: x}", "session: {revoked: 1}"), "/session/revoked is"),
        (
            ("role: clerk", "call: {tool_name: x}", "session: {rate: {day: {}}}"),
            "/session/rate/day",
        ),
    ],
)
def test_what_the_schema_does_not_know_is_refused_with_the_line_of_the_case(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FindingsError) as caught:
        facts(tmp_path, *lines)
    found = caught.value.findings[0]
    assert message in found.message
    assert (found.file, found.line) == ("a_cases.yaml", ROLES.count("\n") + 2)
