"""Exports: what the journals say, in order, whole, and harmless to spreadsheets."""

import csv
import io
import json
import random
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


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_csv_defuses_what_a_spreadsheet_would_run(tmp_path: Path, start: str) -> None:
    journal = Written(tmp_path)
    journal.append(denied(0, tool_name=start))
    rows = list(csv.reader(io.StringIO(b"".join(export.as_csv(journal.texts())).decode(), "")))
    assert f"'{start}" in rows[1]
    assert start not in rows[1]
