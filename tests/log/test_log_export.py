"""Exports: what the journals say, in order, whole, and harmless to spreadsheets."""

import csv
import io
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scopebound_engine.database.log_tables import HOUR_US
from scopebound_engine.log import export
from scopebound_engine.log.shipper import Shipper
from tests.journals import NOW_US, Written, denied, record


def written(folder: Path, node: str, count: int) -> Written:
    """A journal whose times go back a little now and then, as those of several threads do."""
    chosen, journal = random.Random(node), Written(folder, node)
    journal.append(
        *(record(n, at_us=NOW_US + n * 1_000 - chosen.randrange(30_000)) for n in range(count))
    )
    return journal


def test_lines_are_those_of_the_journals_node_by_node(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_PAGE_LINES", 37)
    monkeypatch.setattr(export, "_PAGE_BYTES", 9_000)
    journals = [written(tmp_path / node, node, 400) for node in ("a", "b")]
    for journal in journals:
        Shipper(database, journal.folder, journal.node).run()
    expected = journals[0].texts() + journals[1].texts()
    assert list(export.lines(database, NOW_US - HOUR_US, NOW_US + HOUR_US)) == expected
    assert b"".join(export.as_jsonl(expected)).decode().splitlines() == expected


def test_a_window_leaves_no_gap_between_its_first_line_and_its_last(
    database: Engine, tmp_path: Path
) -> None:
    journal = written(tmp_path / "log", "a", 400)
    Shipper(database, journal.folder, "a").run()
    found = list(export.lines(database, NOW_US + 100_000, NOW_US + HOUR_US))
    assert 0 < len(found) < 400
    assert found == journal.texts()[-len(found) :]
    inside = [json.loads(line)["record"]["at_us"] >= NOW_US + 100_000 for line in journal.texts()]
    assert len(found) >= sum(inside)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array(count: int) -> None:
    lines = [json.dumps({"record": {"n": n}}) for n in range(count)]
    assert json.loads(b"".join(export.as_json(lines))) == [
        {"record": {"n": n}} for n in range(count)
    ]


def test_csv_has_a_header_and_a_row_for_each_record(tmp_path: Path) -> None:
    journal = Written(tmp_path)
    violation = {"code": "SCOPE_VIOLATION", "severity": "medium", "reason": 'say "no",\nplease'}
    journal.append(record(0), denied(1, violations=[violation], latency_ms={"total": 1.5}))
    rows = list(csv.DictReader(io.StringIO(b"".join(export.as_csv(journal.texts())).decode())))
    assert [row["decision"] for row in rows] == ["allow", "deny"]
    assert rows[1]["reason"] == violation["reason"]
    assert rows[1]["severity"] == "medium"
    assert rows[1]["role"] == "clerk"
    assert rows[1]["latency_ms"] == "1.5"
    assert rows[0]["severity"] == ""
    assert b"".join(export.as_csv([])).decode().startswith("at,node,id,event,")


def cell(folder: Path, tool: str) -> str:
    """What stands in CSV for a tool of this name."""
    journal = Written(folder)
    journal.append(denied(0, tool_name=tool))
    rows = csv.reader(io.StringIO(b"".join(export.as_csv(journal.texts())).decode(), ""))
    names, values = rows
    return dict(zip(names, values, strict=True))["tool_name"]


@pytest.mark.parametrize(
    "start",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\t1", "\r1", "\n1"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)"),
        *(" =1", "\u00a0=1", "\u3000+1", "\ufeff=1", "\u200b@1", "\x00=1", "\x01-1"),
    ],
)
def test_csv_defuses_what_a_spreadsheet_would_run(tmp_path: Path, start: str) -> None:
    assert cell(tmp_path, start) == f"'{start}"


@pytest.mark.parametrize("separator", [";", "\t", "\r\n", "\n"])
@pytest.mark.parametrize("formula", ["=1+1", " @SUM(A1)", '=1"'])
def test_csv_defuses_what_would_be_a_cell_for_another_separator(
    tmp_path: Path, separator: str, formula: str
) -> None:
    assert cell(tmp_path, f"tool{separator}{formula}") == f"tool{separator}'{formula}"
    assert cell(tmp_path / "more", f"a{separator}b {formula}") == f"a{separator}b {formula}"


def test_csv_of_what_only_looks_like_it_takes_no_time(tmp_path: Path) -> None:
    began = time.monotonic()
    for number, text in enumerate((";  ", " ", ";", "\t", ";" + 64 * " ")):
        long = text * (120_000 // len(text))
        assert cell(tmp_path / str(number), f"x{long}") == f"x{long}"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("missing", [0, 2])
def test_large_records_do_not_pile_up_where_one_is_missing(missing: int) -> None:
    read, most, text = 0, 0, "x" * (1 << 20)

    def found() -> Iterator[tuple[int, int, str]]:
        nonlocal read
        for number in range(1, 1_000):
            if number != missing:
                read += 1
                yield number, number, text

    for taken, _ in enumerate(export._by_number(found()), 1):
        most = max(most, read - taken)
    assert read == taken
    assert most <= 64
