"""The patterns of a call share one budget, which ends in time."""

from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.decision.facts import Call, build
from scopebound_engine.matching.patterns import MAX_MATCHING_STEPS, Budget, compile_pattern
from scopebound_engine.session.state.seam import UNLIMITED, SessionFacts
from tests.matching.judging import manifest


def test_the_patterns_of_a_call_share_its_budget() -> None:
    declared = {f"m{n}": {"path": "/call_args/v", "regex": "^a+$"} for n in range(3)}
    matchers = Matchers.of(manifest(declared))
    document = {"call_args": {"v": "a" * 1000}}
    assert {*matchers.judge(document).values()} == {"yes"}
    assert {*matchers.judge(document, Budget(0)).values()} == {"unfit"}
    budget = Budget(compile_pattern("^a+$").steps(1000) + 1000)
    assert list(matchers.judge(document, budget).values()) == ["yes", "unfit", "unfit"]
    assert not budget.spend(1)


def test_what_the_role_spent_is_not_left_to_the_bundle() -> None:
    matchers = Matchers.of(manifest({"m": {"path": "/call_args/v", "regex": "^(?:a|b){200}x$"}}))
    contains = {"field": "v", "operator": "contains", "value": "x", "required": False}
    call = Call("tool_call", "pay", {"v": "a" * 40_000}, "call-1")
    session = SessionFacts(UNLIMITED, UNLIMITED)

    def answer(times: int) -> str:
        claims = {"parameter_constraints": {"pay": [contains] * times}}
        matches: dict[str, str] = build(call, claims, 0, session, matchers=matchers)["matches"]
        return matches["m"]

    assert answer(0) == "no"
    assert answer(MAX_MATCHING_STEPS // 40_000) == "unfit"


def test_many_matchers_of_a_long_text_end_in_time() -> None:
    declared = {
        f"m{n}": {"path": "/call_args/v", operator: pattern}
        for n, (operator, pattern) in enumerate(
            [("suffix", "x"), ("prefix", "x"), ("regex", "^(?:[a-z]{0,30}-){20}$"), ("glob", "**x")]
            * 16
        )
    }
    answers = Matchers.of(manifest(declared)).judge({"call_args": {"v": "a" * 1_000_000}})
    assert {*answers.values()} == {"no", "unfit"}
