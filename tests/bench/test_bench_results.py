"""The files of results, and the work that their machine is measured by."""

import json
from pathlib import Path

import pytest

from tests.bench.calibration import unit, unit_us
from tests.bench.results import digest, read_all, recording, rounded


def test_what_is_recorded_is_read_again_below_a_header(tmp_path: Path) -> None:
    with recording("tools", {"workers": 1}, tmp_path, title="Tools") as rows:
        rows.append({"name": "3", "cpu_us": 1234.5678})
    found = read_all(tmp_path)["tools"]
    assert found["part"] == "tools"
    assert found["title"] == "Tools"
    assert found["rows"] == [{"name": "3", "cpu_us": 1235}]
    assert found["settings"] == {"workers": 1}
    assert found["machine"].keys() == {"processors", "python", "load_before"}
    assert found["calibration"]["unit_us"] > 0


def test_of_a_part_that_fails_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recording("tools", {}, tmp_path) as rows:
        rows.append({"name": "3", "us": 1 / 0})
    assert read_all(tmp_path) == {}


def test_without_a_folder_nothing_is_written() -> None:
    with recording("never-written", {}, None) as rows:
        rows.append({"name": "3"})
    assert "never-written" not in read_all()


def test_rounding_leaves_four_digits_and_what_is_no_float() -> None:
    value = {"a": [1.23456, 123456.7, 0.000123456], "b": 123456, "c": True, "d": "x", "e": None}
    expected = {"a": [1.235, 123457, 0.0001235], "b": 123456, "c": True, "d": "x", "e": None}
    assert rounded(value) == expected
    assert json.dumps(rounded(value)) == json.dumps(expected)


def test_the_unit_of_work_is_the_same_every_time_and_takes_what_it_should() -> None:
    assert unit() == unit()
    assert 10 < unit_us(0.02) < 10_000


def test_a_digest_tells_the_rows_of_its_parts_from_others() -> None:
    results = {"tools": {"rows": [{"us": 1}]}, "rules": {"rows": [{"us": 2}]}}
    found = digest(results, ["rules", "tools"])
    assert found == digest(results | {"values": {"rows": []}}, ["tools", "rules"])
    assert found != digest(results | {"rules": {"rows": [{"us": 3}]}}, ["tools", "rules"])
    assert found != digest(results, ["tools"])
