"""Usage: the same numbers as counting the journal's lines one by one."""

import json
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from scopebound_engine.database.engine import transaction
from scopebound_engine.database.log_tables import HOUR_US, MINUTE_US
from scopebound_engine.log import counts
from scopebound_engine.log.analytics import MOST_TOOLS, Analytics, Hour, Usage
from scopebound_engine.log.chain import GENESIS, compose
from scopebound_engine.log.entries import Entry, read
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.strict_json import dumps
from tests.journals import NODE, NOW_US, Written, denied, record

TOOLS = ("read", "Read", "mail", "ärger", "z\nz", *(f"tool-{number}" for number in range(12)))
# Denials, and the batches that they are counted in.
FLOOD, BATCH = 200_000, 2_000
# An hour has 10 tools or MOST_NAMES, so much more is read; 1,190 were it not for these.
MOST_RATIO = 20

EVENTS = (
    *("tool_call.allow", "tool_call.deny", "mcp_tool_call.deny", "mcp_tool_call.allow"),
    *("tool_call.replay", "delegation.deny", "role.created"),
)


def brute_force(lines: list[bytes], from_us: int, to_us: int) -> Usage:
    """What the lines say, counted one by one."""
    usage, tools = counted(lines, from_us, to_us)
    ranked = sorted(tools.items(), key=lambda item: (-item[1], item[0].encode()))
    return replace(
        usage, denied_tools=tuple(ranked[:MOST_TOOLS]), unnamed=usage.denied - tools.total()
    )


def counted(lines: list[bytes], from_us: int, to_us: int) -> tuple[Usage, Counter[str]]:
    """The hours, and every denied tool with its number."""
    hours = Counter[tuple[int, str]]()
    tools = Counter[str]()
    for one in (json.loads(line)["record"] for line in lines):
        subject, _, verdict = one["event"].partition(".")
        if not from_us <= one["at_us"] < to_us:
            continue
        if subject not in {"tool_call", "mcp_tool_call"} or verdict not in {"allow", "deny"}:
            continue
        hours[one["at_us"] // HOUR_US * HOUR_US, verdict] += 1
        if verdict == "deny" and "tool_name" in one:
            tools[one["tool_name"]] += 1
    first = from_us // HOUR_US * HOUR_US
    every = range(first, to_us, HOUR_US)
    told = tuple(Hour(at, hours[at, "allow"], hours[at, "deny"]) for at in every)
    return Usage((), 0, told), tools


def calls(chosen: random.Random, count: int) -> list[dict[str, Any]]:
    """Calls, repeats, delegations and management over eight days, many at ends of spans."""
    made = []
    for number in range(count):
        at_us = NOW_US - chosen.randrange(192 * HOUR_US)
        if chosen.random() < 0.3:
            at_us -= at_us % chosen.choice((HOUR_US, MINUTE_US))
        event = chosen.choice(EVENTS)
        one = record(number, at_us=at_us, event=event, tool_name=chosen.choice(TOOLS))
        if event.endswith("deny") and chosen.random() < 0.1:
            del one["tool_name"]
        made.append(one)
    return made


def test_usage_is_what_the_journal_says(database: Engine, tmp_path: Path) -> None:
    chosen = random.Random(20)
    journal = Written(tmp_path / "log")
    journal.append(*calls(chosen, 1_500))
    Shipper(database, journal.folder, NODE).run()
    analytics = Analytics(database, lambda: NOW_US / 1_000_000)
    windows = [(NOW_US - hours * HOUR_US, NOW_US) for hours in (1, 24, 168)]
    for _ in range(25):
        to_us = NOW_US - chosen.randrange(24 * HOUR_US)
        windows.append((to_us - chosen.randrange(1, 168 * HOUR_US), to_us))
    for from_us, to_us in windows:
        assert analytics.between(from_us, to_us) == brute_force(journal.lines, from_us, to_us)
    assert analytics.usage(24) == brute_force(journal.lines, NOW_US - 24 * HOUR_US, NOW_US)


def test_with_names_made_up_calls_are_exact_and_what_tools_lack_is_told(
    database: Engine, tmp_path: Path
) -> None:
    chosen = random.Random(21)
    journal = Written(tmp_path / "log")
    for number in range(3_000):
        at_us = NOW_US - chosen.randrange(3 * HOUR_US)
        tool = "mail" if chosen.random() < 0.1 else f"made-up-{int(900 * chosen.random() ** 2)}"
        journal.append(denied(number, at_us=at_us, tool_name=tool))
    shipper = Shipper(database, journal.folder, NODE)
    shipper.run()
    analytics, lacking = Analytics(database, lambda: NOW_US / 1_000_000), 0
    for _ in range(25):
        from_us = NOW_US - chosen.randrange(MINUTE_US, 3 * HOUR_US)
        to_us = chosen.randrange(from_us + 1, NOW_US)
        found = analytics.between(from_us, to_us)
        usage, tools = counted(journal.lines, from_us, to_us)
        assert found.hours == usage.hours
        for name, calls in found.denied_tools:
            assert calls <= tools[name] <= calls + found.unnamed
        assert found.denied_tools[0][0] == "mail" or found.denied < 100
        lacking += found.unnamed
    assert lacking > 1_000


def flood(database: Engine, ends_us: int, tools: int) -> None:
    """Within the week up to then, denials of so many tools, all of an hour's within a minute."""
    entry = read(compose(NODE, GENESIS, 1, dumps(denied(1)))[:-1])
    for first in range(0, FLOOD, BATCH):
        entries = []
        for number in range(first, min(first + BATCH, FLOOD)):
            at_us = ends_us - (number * 168 // FLOOD + 1) * HOUR_US + 5 * MINUTE_US
            row = entry.row._replace(at_us=at_us, tool_name=f"x{number % tools}")
            entries.append(Entry(row, {}))
        with transaction(database) as connection:
            counts.add(connection, entries)


def took(analytics: Analytics, ends_us: int) -> float:
    """What the usage of the week up to then takes, at best: other programs run as well."""
    begins_us, seconds = ends_us - 168 * HOUR_US, []
    for _ in range(10):
        began = time.perf_counter()
        assert analytics.between(begins_us, ends_us).denied == FLOOD
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def test_made_up_names_slow_a_weeks_usage_by_a_bounded_factor(database: Engine) -> None:
    before_us = NOW_US - 168 * HOUR_US
    flood(database, before_us, tools=10)
    flood(database, NOW_US, tools=FLOOD)
    analytics = Analytics(database, lambda: 0)
    plain, made_up = took(analytics, before_us), took(analytics, NOW_US)
    print(f"a week's usage: {plain * 1e3:.1f} ms; names made up: {made_up / plain:.1f} times")
    assert made_up < MOST_RATIO * plain


def test_a_call_at_the_windows_start_counts_and_one_at_its_end_does_not(
    database: Engine, tmp_path: Path
) -> None:
    journal = Written(tmp_path / "log")
    start, end = NOW_US - HOUR_US + 7, NOW_US + 7
    times = (start - 1, start, end - 1, end)
    journal.append(*(denied(number, at_us=at) for number, at in enumerate(times)))
    Shipper(database, journal.folder, NODE).run()
    usage = Analytics(database, lambda: 0).between(start, end)
    assert (usage.allowed, usage.denied) == (0, 2)
    assert usage.denied_tools == (("read_invoice", 2),)


@pytest.mark.parametrize("hours", [1, 24, 168])
def test_without_calls_every_hour_is_there_and_empty(database: Engine, hours: int) -> None:
    usage = Analytics(database, lambda: 1_000_000.5).usage(hours)
    assert (usage.allowed, usage.denied, usage.denied_tools) == (0, 0, ())
    assert len(usage.hours) == hours + 1
