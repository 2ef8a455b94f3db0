"""What turns a denial by an author's own rule, read off what the rule compared."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.author import folder, subject
from scopebound_engine.author.explaining.candidates.arguments import allowed
from scopebound_engine.author.explaining.counterfactual import Search
from scopebound_engine.author.explaining.world import remade
from scopebound_engine.author.subject import Subject
from scopebound_engine.config import SHIPPED
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from tests.author.offered import searched_facts, traced

# What each rule denies, by the tool it is about; and the arguments of a call that it denies.
RULES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "above": ("input.call_args.amount > 500", {"amount": 501}),
    "least": ("not input.call_args.amount >= 10", {"amount": 3}),
    "mirrored": ("500.5 < input.call_args.amount", {"amount": 600.25}),
    "forced": ('input.call_args.mode == "force"', {"mode": "force", "n": 1}),
    "unlike": ('input.call_args.mode != "safe"', {"mode": "fast"}),
    "switch": ("input.call_args.dry_run == false", {"dry_run": False}),
    "listed": ("not input.call_args.region in data.scopebound.regions", {"region": "eu-wst"}),
    "banned": ('input.call_args.region in ["us", "cn"]', {"region": "us"}),
    "deep": ("some item in input.call_args.items; item.price > 10", {"items": [{"price": 11}]}),
    "suffix": ('input.matches.inside != "yes"', {"to": "bob@evil.com"}),
    "prefix": ('input.matches.home != "yes"', {"path": "etc"}),
    "pattern": ('input.matches.ticket != "yes"', {"ticket": "none"}),
    "glob": ('input.matches.file != "yes"', {"file": "a.exe"}),
    "network": ('input.matches.lan != "yes"', {"host": "8.8.8.8"}),
    "either": ("input.call_args.a > 1; input.call_args.b > 1", {"a": 2, "b": 2}),
}
MATCHERS = {
    "inside": {"path": "/call_args/to", "suffix": "@company.com"},
    "home": {"path": "/call_args/path", "prefix": "/home/"},
    "ticket": {"path": "/call_args/ticket", "regex": "^[A-Z]{2}-[0-9]+$"},
    "file": {"path": "/call_args/file", "glob": "*.txt"},
    "lan": {"path": "/call_args/host", "cidr": "10.0.0.0/8"},
}
OFFERED = {
    "above": "set call_args.amount to 500 (it is 501)",
    "least": "set call_args.amount to 10 (it is 3)",
    "mirrored": "set call_args.amount to 500.5 (it is 600.25)",
    "forced": 'leave out call_args.mode (it is "force")',
    "unlike": 'set call_args.mode to "safe" (it is "fast")',
    "switch": "set call_args.dry_run to true (it is false)",
    "listed": 'set call_args.region to "eu-west" (it is "eu-wst")',
    "banned": 'leave out call_args.region (it is "us")',
    "deep": "set call_args.items.0.price to 10 (it is 11)",
    "suffix": 'set call_args.to to "bob@company.com" (it is "bob@evil.com")',
    "prefix": 'set call_args.path to "/home/etc" (it is "etc")',
    "pattern": 'set call_args.ticket to "AA-1" (it is "none")',
    "glob": 'set call_args.file to "a.txt" (it is "a.exe")',
    "network": 'set call_args.host to "10.0.0.0" (it is "8.8.8.8")',
    "either": "set call_args.a to 1 (it is 2)",
}


def policies(target: Path) -> Path:
    """The shipped ones with a rule for each tool, and one that nothing turns."""
    shutil.copytree(SHIPPED / "policies", target)
    manifest = json.loads((SHIPPED / "manifest.json").read_text("utf-8"))
    manifest["matchers"] = MATCHERS
    conditions = {tool: condition for tool, (condition, _) in RULES.items()} | {"never": "true"}
    for tool, condition in conditions.items():
        code = f"{tool.upper()}_CALL"
        manifest["deny_codes"].append({"code": code, "severity": "low", "description": tool})
        body = "\n\t".join([f'input.tool_name == "{tool}"', *condition.split("; ")])
        (target / f"scopebound/deny/{tool}.rego").write_text(
            f"package scopebound.deny\n\nimport rego.v1\n\nviolation contains {{\n"
            f'\t"code": "{code}",\n\t"severity": "low",\n\t"reason": "no",\n'
            f'\t"retry_guidance": "none",\n}} if {{\n\t{body}\n}}\n'
        )
    (target / "scopebound/regions").mkdir()
    regions = json.dumps(["us-east", "eu-west", "eu-north"])
    (target / "scopebound/regions/data.json").write_text(regions)
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


@pytest.fixture(scope="module")
def decides(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return subject.of_folder(folder.read(policies(tmp_path_factory.mktemp("own") / "policies")))


@pytest.fixture(scope="module")
def pool(decides: Subject) -> Iterator[EvaluatorPool]:
    made = decides.evaluators()
    yield made
    made.close()


def call(tool: str, args: dict[str, Any]) -> dict[str, Any]:
    window = {"limit": 0, "granted": True, "remaining": 0, "retry_after_seconds": 0}
    drift = {"ready": False, "log_evidence": 0, "latched": False, "calls": 1}
    return {
        "action": "tool_call",
        "tool_name": tool,
        "call_args": args,
        "call_id": "c",
        "mcp_server": None,
        "claims": {
            "exp": 1_800_003_600,
            "allowed_tools": [*RULES, "never"],
            "allowed_hours_start": 0,
            "allowed_hours_end": 0,
            "allowed_days": [],
            "data_scope": {"allowed_envs": [], "max_rows": 0},
            "bound": {"approval_required": [], "allowed_mcp_servers": []},
        },
        "now": {"epoch_ms": 1_800_000_000_000, "hour": 8, "weekday": 4},
        "session": {
            "rate": {"minute": window, "hour": window},
            "drift": drift | {"baseline_sessions": 0},
            "revoked": False,
            "revoked_reason": None,
        },
        "constraints": [],
        "matches": {},
    }


@pytest.fixture(scope="module")
def told(decides: Subject) -> dict[str, tuple[dict[str, Any], Any]]:
    """The facts of each call that is denied, and what the rules did."""
    matchers = decides.matchers()
    calls = {tool: args for tool, (_, args) in RULES.items()} | {"never": {"a": 1}}
    made = {tool: remade(call(tool, args), (), matchers) for tool, args in calls.items()}
    found = traced(decides, list(made.values()))
    return {tool: (made[tool], one) for tool, one in zip(made, found, strict=True)}


@pytest.mark.parametrize("tool", RULES)
def test_a_comparison_is_turned_around(
    decides: Subject, pool: EvaluatorPool, told: Mapping[str, Any], tool: str
) -> None:
    document, one = told[tool]
    assert one.codes == (f"{tool.upper()}_CALL",)
    found = searched_facts(decides, pool, document, one)
    assert found.smallest is not None
    assert [change.says for change in found.smallest.changes] == [OFFERED[tool]]


def test_where_nothing_turns_it_that_is_said(
    decides: Subject, pool: EvaluatorPool, told: Mapping[str, Any]
) -> None:
    found = searched_facts(decides, pool, *told["never"])
    assert (found.smallest, found.by_role, found.complete) == (None, None, True)
    assert 1 < found.evaluations < 50


def test_a_search_ends_after_so_many_evaluations(
    decides: Subject, pool: EvaluatorPool, told: Mapping[str, Any]
) -> None:
    document, one = told["never"]
    found = searched_facts(decides, pool, document, one, most=1)
    assert (found.smallest, found.complete, found.evaluations) == (None, False, 1)


ODD: list[list[dict[str, Any]]] = [
    [{}],
    [{"field": "a", "operator": "lt", "value": "5", "required": False}],
    [{"field": "a", "operator": "lt", "value": 1e300, "required": True}],
    [{"field": "a", "operator": "gt", "value": 10**60, "required": True}],
    [{"field": "a.b", "operator": "in", "value": 7, "required": True}],
    [{"field": "", "operator": "near", "value": None, "required": True}],
    [{"field": "a", "operator": "regex", "value": "(", "required": True}],
]


@pytest.mark.parametrize("constraints", ODD, ids=str)
def test_facts_that_no_service_made_break_no_search(
    decides: Subject, pool: EvaluatorPool, constraints: list[dict[str, Any]]
) -> None:
    for args in ({}, {"a": 10**61, "a.b": [1]}, {"a": {"b": True}}):
        document = call("above", args) | {"constraints": constraints}
        found = Search(decides, pool).find(document, ())
        assert found.complete


def test_numbers_that_doubles_leave_out_have_others_beside_them() -> None:
    for limit in (1e300, -1e300, 1 << 53, 10**60):
        for operator in ("lt", "gt"):
            (value,) = allowed({"operator": operator, "value": limit}, 1)
            assert value < limit if operator == "lt" else value > limit
