"""What operators are told of a baseline is what its evidence says."""

import math
import re
from itertools import pairwise

import pytest

from scopebound_engine.session.drift.evidence import Baseline, log_evidence
from scopebound_engine.session.drift.simulation import World
from scopebound_engine.session.drift.words import HORIZON, notices, waiting

ENOUGH = math.log(1_000)
USUAL = Baseline(("read", "mail", "export"), (0.8, 0.15, 0.03, 0.02), 30.0, 50, 5_000)
DIVERSE = Baseline(("read", "mail", "export"), (0.8, 0.15, 0.03, 0.02), 2.0, 50, 5_000)


def told(baseline: Baseline, beginning: str) -> str:
    """How the sentence with this beginning goes on."""
    (found,) = (each for each in notices(baseline) if each.startswith(beginning))
    return found.removeprefix(beginning).strip()


def first_denied(baseline: Baseline, *turns: str) -> int | None:
    """When a session that calls these tools in turn is denied, by the closed form."""
    for call in range(10, HORIZON + 1):
        whole, rest = divmod(call, len(turns))
        counts = {tool: whole + (place < rest) for place, tool in enumerate(turns)}
        if log_evidence(counts, baseline) >= ENOUGH:
            return call
    return None


@pytest.mark.parametrize("tool", USUAL.tools)
@pytest.mark.parametrize("concentration", [2.0, 30.0, 1_000.0])
def test_a_session_of_one_tool_is_denied_when_its_evidence_says(
    tool: str, concentration: float
) -> None:
    baseline = Baseline(USUAL.tools, USUAL.frequencies, concentration, 50, 5_000)
    call = first_denied(baseline, tool)
    denied = f"would be denied at call {call}" if call else "would not be denied within 1,000 calls"
    (sentence,) = (
        each
        for each in notices(baseline)
        if each.startswith((f"a session that only calls {tool} would", "a session that only calls "
                            "one tool")) and (tool in each or each.endswith("whichever that is"))
    )  # fmt: skip
    assert denied in sentence


def test_a_session_of_the_two_rarest_tools_is_denied_when_its_evidence_says() -> None:
    for baseline in (USUAL, DIVERSE):
        call = first_denied(baseline, "export", "mail")
        sentence = told(baseline, "a session that only calls export and mail, in turn,")
        assert sentence in (
            f"would be denied at call {call}",
            "would not be denied within 1,000 calls",
        )
        assert ("not" in sentence) is (call is None)


def test_what_would_go_unnoticed_is_said() -> None:
    only_one = told(DIVERSE, "a session that only calls one tool")
    assert only_one == "would not be denied within 1,000 calls, whichever that is"
    late = told(DIVERSE, "a session that only calls export after 100 usual calls")
    assert late == "would not be denied within 1,000 calls"


def test_the_smaller_a_deviation_the_later_it_is_noticed() -> None:
    baseline = World(math.inf).baseline
    rarest = re.search(r"one call in 2 is (\w+)", " ".join(notices(baseline)))
    assert rarest is not None
    sentences = [
        told(baseline, f"a session of which one call in {one_in} is {rarest[1]}, else usual,")
        for one_in in (2, 5)
    ]
    calls = [int(sentence.removeprefix("would be denied at about call ")) for sentence in sentences]
    assert all(sooner < later for sooner, later in pairwise(calls))


def test_a_late_change_is_counted_from_when_it_begins() -> None:
    late = told(World(math.inf).baseline, "a session that only calls share after 100 usual calls")
    found = re.fullmatch(r"would be denied at about call (\d+) of those", late)
    assert found is not None
    assert 1 <= int(found[1]) < 100


def test_a_baseline_of_alike_sessions_notices_alike_use_of_all_tools_sooner() -> None:
    alike = Baseline(USUAL.tools, USUAL.frequencies, 1_000.0, 50, 5_000)
    beginning = "a session that calls all tools alike would be denied at about call "
    assert int(told(alike, beginning)) < int(told(USUAL, beginning))


def test_a_role_of_one_tool_has_little_to_tell() -> None:
    single = Baseline(("read",), (0.95, 0.05), 0.1, 20, 400)
    sentences = notices(single)
    assert sentences[0] == "a session that only calls read would not be denied within 1,000 calls"
    assert len(sentences) == 3


def test_of_many_tools_some_are_named_and_the_rest_counted() -> None:
    tools = tuple(f"t{number}" for number in range(40))
    shares = (0.5, *[0.48 / 39] * 39, 0.02)
    sentence = told(Baseline(tools, shares, 300.0, 50, 5_000), "a session that only calls one tool")
    assert sentence == "would be denied at call 10 if that is t1, t2, t3, t4, t5 or one of 34 more"


def test_the_same_baseline_is_told_in_the_same_words() -> None:
    assert notices(USUAL) == notices(USUAL)


def test_a_role_that_waits_is_told_what_for() -> None:
    assert waiting(7).startswith("not enough sessions yet: 7 of 20; ")
    assert waiting(20).startswith("20 sessions have ended, and the next fit ")
