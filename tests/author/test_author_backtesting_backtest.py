"""Recorded decisions decided again: what a candidate flips is found exactly, and nothing else."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from scopebound_engine.author import subject
from scopebound_engine.author.backtesting.backtest import backtest
from scopebound_engine.author.backtesting.flips import Flips, Report
from scopebound_engine.errors import CompileError, EngineError, EvaluatorTimeoutError, InputError
from scopebound_engine.log.replayable import read
from tests.api.clocked import Service, clocked_service
from tests.bundles import MARKED, bundle_files
from tests.recording import Record, lines_of

_RULE = """package scopebound.deny

import rego.v1

violation contains {{
	"code": "{code}",
	"severity": "low",
	"reason": "seeded",
	"retry_guidance": "none",
}} if {{
	{condition}
}}
"""
# Takes seconds.
_LOOP = """ns := numbers.range(1, 3000)
	some i in ns
	some j in ns
	i + j == -1"""
TOOLS = ("read", "write", "mail", MARKED)


def with_rule(code: str, condition: str, **manifest: Any) -> dict[str, bytes]:
    """The shipped rules and one that denies on a condition."""
    files = bundle_files("1.1.0", denies=False)
    document = json.loads(files["manifest.json"]) | manifest
    document["deny_codes"].append({"code": code, "severity": "low", "description": "seeded"})
    rule = _RULE.format(code=code, condition=condition).encode()
    return {
        **files,
        "manifest.json": json.dumps(document).encode(),
        f"scopebound/deny/{code.lower()}.rego": rule,
    }


def decide(files: dict[str, bytes], records: list[Record], **options: Any) -> Report:
    return backtest(subject.of_files("candidate", files), records, **options)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with clocked_service(tmp_path_factory.mktemp("backtest"), None) as made:
        yield made


@pytest.fixture(scope="module")
def records(service: Service) -> list[Record]:
    """Calls of two roles: what is allowed, and denials of several kinds."""
    rng = random.Random(7)
    roles = [service.role(*TOOLS[:3], data_scope={"allowed_envs": ["prod"], "max_rows": 100})]
    roles += [service.role(*TOOLS, rate_limit_per_minute=30)]
    for agent in map(service.session, roles):
        for number in range(60):
            arguments = {"env": rng.choice(["prod", "test"]), "limit": rng.randrange(1, 120)}
            tool = rng.choice(TOOLS)
            named = {"call_id": f"again {number}"} if number % 20 == 0 else {}
            for _ in range(1 + len(named)):
                agent.call(tool, arguments | {"number": number}, **named)
    masked = service.session(service.role("pay", log_mask=["/call_args/iban"]))
    masked.call("pay", {"iban": "DE1"})
    unsigned = {"jwt": "a.b.c", "tool_name": "pay", "call_args": {}}
    service.http.simulate_post("/v1/enforce", json=unsigned)
    return [read(line) for line in lines_of(service.services.config.data_dir)]


@pytest.fixture(scope="module")
def decisions(records: list[Record]) -> list[Record]:
    """Those that can be decided again."""
    return [one for one in records if one.get("reproducible")]


def test_the_bundle_that_decided_flips_nothing(
    records: list[Record], decisions: list[Record]
) -> None:
    report = decide(bundle_files("1.0.1", denies=False), records)
    assert (report.flips, report.altered, report.without_verdict) == (0, 0, 0)
    assert (report.records, report.decided) == (len(records), len(decisions))
    assert report.undecidable["masked"] == 1
    assert report.undecidable["engine"] == 1
    assert report.undecidable["replay"] == 6
    assert sum(report.undecidable.values()) == len(records) - len(decisions)
    assert [bundle.decisions for bundle in report.bundles] == [len(decisions)]
    assert any("masked" in warning for warning in report.warnings)


def test_a_seeded_set_of_flips_is_found_exactly(decisions: list[Record]) -> None:
    rng = random.Random(11)
    seeded = set(rng.sample(range(60), 9))
    numbers = ", ".join(map(str, sorted(seeded)))
    report = decide(with_rule("SEEDED", f"input.call_args.number in {{{numbers}}}"), decisions)
    hit = [one for one in decisions if one["input"]["call_args"]["number"] in seeded]
    allowed = {one["id"] for one in hit if one["decision"] == "allow"}
    assert report.kinds == {
        "deny_to_allow": 0,
        "allow_to_deny": len(allowed),
        # A code that the order does not know comes last.
        "deny_code": 0,
    }
    assert report.altered == len(hit) - len(allowed)
    everything = decide(
        with_rule("SEEDED", f"input.call_args.number in {{{numbers}}}"), decisions, examples=1_000
    )
    assert {one.id for one in everything.examples} == allowed
    groups = Counter({(one.tool, one.role): one.count for one in report.groups})
    found = [(one["tool_name"], one["role"]["name"]) for one in hit if one["id"] in allowed]
    assert groups == Counter(found)


def test_what_would_be_allowed_comes_first_with_what_was_said(decisions: list[Record]) -> None:
    files = bundle_files("1.1.0", denies=False)
    envs = "scopebound/deny/env_violation.rego"
    files[envs] = files[envs].replace(b"not env_allowed", b"input.nothing == 1")
    files |= with_rule("MAILED", 'input.tool_name == "mail"') | {envs: files[envs]}
    report = decide(files, decisions)
    denied = [one for one in decisions if one.get("deny_code") == "ENV_VIOLATION"]
    assert report.kinds["deny_to_allow"] > 0
    assert report.kinds["allow_to_deny"] > 0
    kinds = [one.kind for one in report.groups]
    assert kinds == sorted(kinds, key=["deny_to_allow", "allow_to_deny", "deny_code"].index)
    first, ids = report.examples[0], {one["id"] for one in denied}
    assert first.kind == "deny_to_allow"
    assert first.id in ids
    assert (first.was[0].code, first.now) == ("ENV_VIOLATION", ())
    mailed = next(one for one in report.examples if one.kind == "allow_to_deny")
    assert (mailed.now[0].code, mailed.now[0].reason) == ("MAILED", "seeded")
    assert mailed.now[0].rules == ("scopebound/deny/mailed.rego:5",)
    assert sum(one.kind == "allow_to_deny" for one in report.examples) <= 5


def test_the_digest_is_that_of_what_flips(decisions: list[Record]) -> None:
    files = with_rule("MAILED", 'input.tool_name == "mail"')
    report = decide(files, decisions)
    mails = [one for one in decisions if one["tool_name"] == "mail"]
    again = decide(files, decisions[::-1] + mails)
    assert again.kinds["allow_to_deny"] > report.kinds["allow_to_deny"]
    assert again.digest == report.digest
    other = decide(with_rule("MAILED", 'input.tool_name in {"mail", "read"}'), decisions)
    fewer = decide(files, [one for one in mails if one["role"] == mails[0]["role"]])
    assert len({report.digest, other.digest, fewer.digest}) == 3


def test_matchers_are_computed_anew_from_what_was_recorded(decisions: list[Record]) -> None:
    matchers = {"prod": {"path": "/call_args/env", "glob": "pr*"}}
    files = with_rule("MATCHED", 'input.matches.prod != "no"', matchers=matchers)
    report = decide(files, decisions, examples=1_000)
    hit = [
        one["id"]
        for one in decisions
        if one["decision"] == "allow" and one["input"]["call_args"]["env"] == "prod"
    ]
    assert [one.id for one in report.examples if one.kind == "allow_to_deny"] == hit
    assert any(warning.startswith("input.matches (prod)") for warning in report.warnings)


def test_calls_without_a_verdict_are_denied(decisions: list[Record]) -> None:
    files = with_rule("BROKEN", "input.call_args.limit > 60; 1 / (input.call_args.number * 0) == 1")
    report = decide(files, decisions)
    hit = [one for one in decisions if one["input"]["call_args"]["limit"] > 60]
    assert report.without_verdict == len(hit)
    assert {one.now for one in report.groups} == {"POLICY_ERROR"}
    assert report.kinds["allow_to_deny"] == sum(one["decision"] == "allow" for one in hit)


def test_one_that_hangs_costs_no_other_its_verdict(decisions: list[Record]) -> None:
    slow = f"input.call_args.number == 7\n\t{_LOOP}"
    report = decide(with_rule("SLOW", slow), decisions)
    hit = [one for one in decisions if one["input"]["call_args"]["number"] == 7]
    assert report.without_verdict == len(hit) == 2
    assert report.flips == len(hit)
    assert any("took longer than 250 ms" in one.now[0].reason for one in report.examples)


def test_a_policy_that_always_hangs_ends_it(decisions: list[Record]) -> None:
    with pytest.raises(EngineError, match="more than 100 evaluations"):
        decide(with_rule("SLOW", _LOOP), decisions, evaluation_seconds=0.02)


def test_it_ends_when_its_time_is_over(decisions: list[Record]) -> None:
    files, endless = bundle_files("1.1.0", denies=False), itertools.repeat(decisions[0])
    with pytest.raises(EvaluatorTimeoutError, match=r"(within|longer than) 1 s"):
        backtest(subject.of_files("candidate", files), endless, seconds=1)


def test_what_does_not_compile_is_told_with_its_place(decisions: list[Record]) -> None:
    with pytest.raises(CompileError) as raised:
        decide(with_rule("BROKEN", "input.a ==="), decisions)
    assert raised.value.findings[0].file == "scopebound/deny/broken.rego"


def test_a_record_that_is_none_is_refused(decisions: list[Record]) -> None:
    with pytest.raises(InputError, match=decisions[0]["id"]):
        decide(bundle_files("1.1.0", denies=False), [{**decisions[0], "input": []}])


def test_without_records_nothing_is_decided() -> None:
    report = decide(bundle_files("1.1.0", denies=False), [])
    assert (report.records, report.decided, report.flips, report.groups) == (0, 0, 0, ())


def test_names_of_tools_without_end_are_not_told_apart() -> None:
    flips = Flips(most_examples=5)
    for number in range(5_000):
        example = _example(f"tool-{number}")
        flips.add(example, "A", "allow")
    groups = flips.groups()
    assert len(groups) == 2_001
    assert (groups[0].tool, groups[0].count) == ("…", 3_000)
    assert [one.tool for one in flips.examples()] == [f"tool-{number}" for number in range(5)]


def _example(tool: str) -> Any:
    from scopebound_engine.author.backtesting.flips import Example

    return Example("deny_to_allow", "id", "at", tool, "role", (), ())
