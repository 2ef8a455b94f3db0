"""Stretches of time in spans that are counted."""

import random

from scopebound_engine.database.log_tables import HOUR_US, MINUTE_US
from scopebound_engine.log.spans import Span, tiles


def test_a_week_is_hours_and_parts_at_its_ends() -> None:
    start, end = 10 * HOUR_US + 50 * MINUTE_US + 7, 178 * HOUR_US + 50 * MINUTE_US + 7
    assert tiles(start, end) == [
        Span(start, 10 * HOUR_US + 51 * MINUTE_US, 0),
        Span(10 * HOUR_US + 51 * MINUTE_US, 11 * HOUR_US, MINUTE_US),
        Span(11 * HOUR_US, 178 * HOUR_US, HOUR_US),
        Span(178 * HOUR_US, 178 * HOUR_US + 50 * MINUTE_US, MINUTE_US),
        Span(178 * HOUR_US + 50 * MINUTE_US, end, 0),
    ]


def test_whole_spans_have_no_ends() -> None:
    assert tiles(2 * HOUR_US, 5 * HOUR_US) == [Span(2 * HOUR_US, 5 * HOUR_US, HOUR_US)]
    assert tiles(3 * MINUTE_US, 4 * MINUTE_US) == [Span(3 * MINUTE_US, 4 * MINUTE_US, MINUTE_US)]
    assert tiles(1, MINUTE_US) == [Span(1, MINUTE_US, 0)]
    assert tiles(5, 5) == []


def test_spans_are_whole_and_leave_nothing_out() -> None:
    chosen = random.Random(7)
    for _ in range(2_000):
        start = chosen.randrange(5 * HOUR_US)
        end = start + chosen.choice((1, 90, 60 * MINUTE_US, 200 * HOUR_US)) * chosen.randrange(60)
        spans = tiles(start, end)
        at = start
        for span in spans:
            assert span.from_us == at < span.to_us
            at = span.to_us
            if span.step_us:
                assert span.from_us % span.step_us == span.to_us % span.step_us == 0
            else:
                assert span.to_us - span.from_us < 2 * MINUTE_US
        assert at == end or not spans
        assert all(span.step_us == HOUR_US for span in spans if span.to_us - span.from_us > HOUR_US)
