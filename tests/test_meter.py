"""What is counted of decisions, and where the bounds are."""

from pathlib import Path

import pytest

from scopebound_engine.decision.pdp import Stages
from scopebound_engine.meter import BOUNDS, OTHER, SUM, Meter
from scopebound_engine.tally import Tally


@pytest.fixture
def meter(tmp_path: Path) -> Meter:
    return Meter(Tally(tmp_path))


def test_decisions_are_counted_by_event_and_code(meter: Meter) -> None:
    for code in ("", "A", "A", "B"):
        event = "tool_call.deny" if code else "tool_call.allow"
        meter.decision(event, code, Stages(), 0.0, 0.001)
    total = meter.tally.total()
    counts = {
        name: total[f"decisions\t{name}"][0]
        for name in ("tool_call.allow\t", "tool_call.deny\tA", "tool_call.deny\tB")
    }
    assert counts == {"tool_call.allow\t": 1, "tool_call.deny\tA": 2, "tool_call.deny\tB": 1}


def test_durations_fall_below_their_bound(meter: Meter) -> None:
    for seconds in (0.0004, BOUNDS[0], 0.003, 5.0):
        meter.decision("tool_call.allow", "", Stages(policy=seconds), 0.0, seconds)
    total = meter.tally.total()
    expected = [2, 0, 0, 1, *[0] * (len(BOUNDS) - 4), 1]
    for name in ("seconds", "stage\tpolicy"):
        assert total[name][:SUM] == expected
        assert total[name][SUM] == pytest.approx(5_003_900, abs=2)


def test_stages_that_a_call_did_not_come_to_are_not_counted(meter: Meter) -> None:
    meter.decision("tool_call.deny", "JWT_INVALID", Stages(), 0.0001, 0.001)
    total = meter.tally.total()
    assert sum(total["stage\tpolicy"]) == 0
    assert sum(total["stage\tjournal"][:SUM]) == 1


def test_codes_beyond_all_room_are_others(meter: Meter) -> None:
    for number in range(1_000):
        meter.decision("tool_call.deny", f"CODE_{number}", Stages(), 0.0, 0.001)
    total = meter.tally.total()
    assert len(total) < 512
    assert total[f"decisions\ttool_call.deny\t{OTHER}"][0] > 400
    denials = [numbers[0] for name, numbers in total.items() if name.startswith("decisions\t")]
    assert sum(denials) == 1_000


def test_what_else_happens_is_counted(meter: Meter) -> None:
    meter.unrecorded()
    meter.late()
    meter.replaced()
    total = meter.tally.total()
    assert [total[name][0] for name in ("unrecorded", "late", "replaced")] == [1, 1, 1]
