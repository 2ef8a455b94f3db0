"""Usage: the same numbers as counting the journal's lines one by one."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from scopebound_engine.database.log_tables import HOUR_US, MINUTE_US
from scopebound_engine.log.analytics import MOST_TOOLS, Analytics, Hour, Usage
from scopebound_engine.log.shipper import Shipper
from tests.journals import NODE, NOW_US, Written, denied, record

TOOLS = ("read", "Read", "mail", "ärger", "z\nz", *(f"tool-{number}" for number in range(12)))


EVENTS = (
    *("tool_call.allow", "tool_call.deny", "mcp_tool_call.deny", "mcp_tool_call.allow"),
    *("tool_call.replay", "delegation.deny", "role.created"),
)


def brute_force(lines: list[bytes], from_us: int, to_us: int) -> Usage:
    """What the lines say, counted one by one."""
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
    ranked = sorted(tools.items(), key=lambda item: (-item[1], item[0].encode()))
    first = from_us // HOUR_US * HOUR_US
    return Usage(
        tuple(ranked[:MOST_TOOLS]),
        tuple(
            Hour(at, hours[at, "allow"], hours[at, "deny"]) for at in range(first, to_us, HOUR_US)
        ),
    )


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
