"""A baseline in plain words: what deviation from it would be noticed, after how many calls.

Everything is reckoned with the shipped thresholds. Where chance has a part, it is drawn from fixed
seeds, so that the same baseline is always told in the same words.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, cycle, islice, repeat
from math import inf
from random import Random
from statistics import median
from typing import Final

from scopebound_engine.session.drift.course import SHIPPED, course, denied_at
from scopebound_engine.session.drift.evidence import Baseline
from scopebound_engine.session.drift.likelihood import MIN_SESSIONS

# As far as is looked ahead.
HORIZON: Final = 1_000
_NEVER: Final = f"would not be denied within {HORIZON:,} calls"
_DRAWN_SESSIONS: Final = 25
_NAMED_TOOLS: Final = 5
_USUAL_START: Final = 100
_ONE_IN: Final = (2, 5)


def waiting(sessions: int) -> str:
    """Why a role of which so many sessions have ended has no baseline."""
    if sessions < MIN_SESSIONS:
        why = f"not enough sessions yet: {sessions} of {MIN_SESSIONS}"
    else:
        why = f"{sessions} sessions have ended, and the next fit makes a baseline of them"
    return f"{why}; no session is denied for drift that began without a baseline"


def notices(baseline: Baseline) -> list[str]:
    """Sentences about sessions that deviate in some way; they also say what goes unnoticed."""
    told = [*_of_one_tool(baseline)]
    if len(baseline.tools) > 1:
        told += [*_of_rare_tools(baseline), _of_all_alike(baseline)]
    return [
        *told,
        f"a session that follows the baseline is ever denied with a probability of {SHIPPED.alpha} "
        "at most, however long it is",
        f"this is reckoned for a bundle with the shipped thresholds (drift.alpha {SHIPPED.alpha}, "
        f"drift.min_calls {SHIPPED.min_calls}); those of the bundle in force decide",
    ]


def _of_one_tool(baseline: Baseline) -> Iterator[str]:
    tools_at: dict[float, list[str]] = {}
    for place in _rarest_first(baseline):
        call = denied_at(course(repeat(place, HORIZON), baseline)) or inf
        tools_at.setdefault(call, []).append(baseline.tools[place])
    for call, tools in sorted(tools_at.items()):
        if len(tools) == 1:
            yield f"a session that only calls {tools[0]} {_at(call)}"
        elif len(tools_at) == 1:
            yield f"a session that only calls one tool {_at(call)}, whichever that is"
        else:
            yield f"a session that only calls one tool {_at(call)} if that is {_one_of(tools)}"


def _of_rare_tools(baseline: Baseline) -> Iterator[str]:
    rarest, second = _rarest_first(baseline)[:2]
    names = baseline.tools
    if len(names) > 2:
        call = denied_at(course(islice(cycle((rarest, second)), HORIZON), baseline)) or inf
        yield f"a session that only calls {names[rarest]} and {names[second]}, in turn, {_at(call)}"
    for one_in in _ONE_IN:
        denied = _about(_median_of(baseline, _mixed(baseline, rarest, one_in)))
        yield f"a session of which one call in {one_in} is {names[rarest]}, else usual, {denied}"
    call = _median_of(baseline, _late(baseline, rarest)) - _USUAL_START
    yield (
        f"a session that only calls {names[rarest]} after {_USUAL_START} usual calls {_about(call)}"
        f"{'' if call == inf else ' of those'}"
    )


def _of_all_alike(baseline: Baseline) -> str:
    tools = range(len(baseline.tools))
    call = _median_of(baseline, lambda draw: iter(draw.choices(tools, k=HORIZON)))
    return f"a session that calls all tools alike {_about(call)}"


def _median_of(baseline: Baseline, session: Callable[[Random], Iterator[int]]) -> float:
    """The call at which sessions drawn this way are denied; half of them are by then."""
    seeds = range(_DRAWN_SESSIONS)
    drawn = (session(Random(seed)) for seed in seeds)  # noqa: S311  # a forecast, no secret
    return median(denied_at(course(calls, baseline)) or inf for calls in drawn)


def _mixed(baseline: Baseline, tool: int, one_in: int) -> Callable[[Random], Iterator[int]]:
    def session(draw: Random) -> Iterator[int]:
        usual = _usual(draw, baseline, HORIZON)
        return (tool if draw.random() * one_in < 1 else call for call in usual)

    return session


def _late(baseline: Baseline, tool: int) -> Callable[[Random], Iterator[int]]:
    return lambda draw: chain(_usual(draw, baseline, _USUAL_START), repeat(tool, HORIZON))


def _usual(draw: Random, baseline: Baseline, calls: int) -> Iterator[int]:
    """A session that follows the baseline: each call is new, or repeats one of those before it.

    This is Pólya's urn, whose draws are those of a Dirichlet-multinomial.
    """
    shares = list(accumulate(baseline.frequencies))
    made: list[int] = []
    for before in range(calls):
        if draw.random() * (baseline.concentration + before) < baseline.concentration:
            made += draw.choices(range(len(shares)), cum_weights=shares)
        else:
            made.append(draw.choice(made))
        yield made[-1]


def _rarest_first(baseline: Baseline) -> list[int]:
    return sorted(range(len(baseline.tools)), key=baseline.frequencies.__getitem__)


def _at(call: float) -> str:
    return _NEVER if call == inf else f"would be denied at call {call}"


def _about(call: float) -> str:
    """In two digits: more would be chance."""
    return _NEVER if call == inf else f"would be denied at about call {float(f'{call:.2g}'):.0f}"


def _one_of(tools: Sequence[str]) -> str:
    shown, others = tools[:_NAMED_TOOLS], len(tools) - _NAMED_TOOLS
    if others > 0:
        return f"{', '.join(shown)} or one of {others} more"
    return f"{', '.join(shown[:-1])} or {shown[-1]}"
