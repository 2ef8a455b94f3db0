"""What typical and hostile calls bring to light that no look at the plan does."""

import json

from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.gate.behaviour import verdicts_on_all
from scopebound_engine.errors import Finding
from tests.bundle.gate_samples import AMOUNT, MANIFEST, bundle, changed

RULE = 'violation contains amount_violation("no") if {{ {} }}\n'


def told(text: str, **files: str) -> list[Finding]:
    """The errors about verdicts of the sound bundle with another rule."""
    subject = bundle(**{"shop/deny/amount.rego": AMOUNT + text, **files})
    return list(verdicts_on_all(gate.as_candidate(subject, acknowledge_floor=True)))


def test_the_sound_bundle_has_a_verdict_on_all() -> None:
    assert told("") == []


def test_an_argument_that_makes_a_rule_fail_is_found() -> None:
    found = told(RULE.format("input.call_args.fee * 2 > 10"))
    assert found[0].message.startswith("read_invoices with arguments: empty gets no verdict: ")
    assert "Not a number" in found[0].message
    assert len(found) == 5


def test_a_rule_for_one_tool_is_reached() -> None:
    listed = 'input.tool_name in ["pay", "transfer"]'
    for guard in (
        'input.tool_name == "transfer"',
        'tool := input.tool_name; tool == "transfer"',
        listed,
    ):
        found = told(RULE.format(f"{guard}; input.call_args.fee * 2 > 10"))
        assert {item.message.partition(" with arguments")[0] for item in found} <= {
            "transfer",
            "pay",
        }
        assert len(found) == 5


def test_a_rule_for_one_answer_of_a_matcher_is_reached() -> None:
    matchers = {"inside": {"path": "/call_args/to", "suffix": "@example.com"}}
    manifest = json.dumps({**MANIFEST, "matchers": matchers})
    broken = 'input.matches.inside == "unfit"; 1 / input.session.drift.calls == 2'
    (found,) = told(RULE.format(broken), **{"manifest.json": manifest})
    assert "read_invoices with every matcher unfit gets no verdict: " in found.message


def test_a_violation_that_breaks_its_rules_is_found() -> None:
    rule = RULE.replace('"no"', "input.call_args.note")
    found = told(rule.format("is_string(input.call_args.note)"))
    call, reason = "read_invoices with arguments: {}", "the reason of violation 2 is not a text"
    assert [item.message for item in found] == [
        f"{call.format(name)} gets no verdict: {reason}" for name in ("empty", "blank")
    ]


def test_a_code_that_is_not_declared_is_told_once_for_all_calls() -> None:
    subject = changed("shop/deny/amount.rego", '"code": "TOO_MUCH"', '"code": "TOO_MANY"')
    found = [item.message for item in gate.check(subject).errors if item.step == "behaviour"]
    assert found == ["a call is denied with TOO_MANY, which the manifest lacks"]


def test_a_policy_that_allows_no_typical_call_is_a_warning() -> None:
    subject = changed("shop/config/data.json", "50000", "1")
    (found,) = verdicts_on_all(gate.as_candidate(subject, acknowledge_floor=True))
    assert (found.level, found.message) == (
        "warning",
        "no typical call is allowed, because of TOOL_CLOSED, TOO_MUCH",
    )
