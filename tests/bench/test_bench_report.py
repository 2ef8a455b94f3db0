"""The README says what the committed results say, and the report what results say."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.bench import report
from tests.bench.aims import DATABASES, DIMENSIONS, aims
from tests.bench.results import digest, read_all


def row(**values: Any) -> dict[str, Any]:
    """A row as a load leaves it."""
    return {
        "name": "a row",
        "per_second": 2400.0,
        "per_core": 1200.0,
        "p50_ms": 0.7,
        "p90_ms": 1.0,
        "p99_ms": 3.0,
        "p999_ms": 9.0,
        "cpu_us": 900.0,
        "cpu_units": 9.0,
        "cpu_by_kind_us": {
            "workers": 400.0,
            "evaluators": 480.0,
            "others": 20.0,
            "generator": 50.0,
        },
        "stages_us": {"all": 800.0, "token": 10.0, "state": 50.0, "policy": 600.0},
        "memory_mb": {"workers": 95.0, "evaluators": 66.0, "database": 0.0},
        "alone_us": 450.0,
        "over_alone": 2.0,
    } | values


def part(name: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "part": name,
        "date": "2026-11-22",
        "machine": {"processors": 2, "python": "3.11.7", "load_before": 0.4},
        "calibration": {"unit_us": 98.0},
        "settings": {},
        "seconds": 60.0,
        "rows": list(rows),
    }


@pytest.fixture
def good() -> dict[str, Any]:
    """Results in which every aim is met, if only just."""
    sized = {"lone_p50_ms": 1.0, "lone_p99_ms": 5.0}
    return {
        "sqlite": part("sqlite", row(), row(per_second=1400.0, share=0.6, p50_ms=0.8, p99_ms=4.0)),
        "values": part(
            "values",
            row(name="10", size=10, **sized),
            row(name="10,000", size=10_000, **sized),
        ),
        "stages": part(
            "stages",
            {"name": "enter()", "stage": "state", "us": 50.0, "share": 0.25, "database": "SQLite"},
            {"name": "the log", "stage": "log", "us": 20.0, "share": 0.1, "database": "SQLite"},
        ),
    }


def missed(found: dict[str, Any]) -> list[str]:
    return [aim.figure for aim in aims(found) if not aim.met]


def test_the_section_of_the_readme_is_that_of_the_committed_results() -> None:
    page = report.README.read_text()
    assert report.replaced(page, report.section(read_all())) == page, (
        "README.md and tests/bench/results differ; run: make bench-report"
    )


@pytest.mark.parametrize(("plot", "shown"), [("latency", DATABASES), ("cost", DIMENSIONS)])
def test_a_committed_plot_shows_the_committed_results(plot: str, shown: dict[str, str]) -> None:
    file = f"tests/bench/results/{plot}.svg"
    assert f"]({file})" in report.README.read_text()
    assert digest(read_all(), shown) in (report.README.parent / file).read_text(), (
        f"{file} shows other results; run: make bench-report"
    )


def test_other_results_are_another_section(good: dict[str, Any]) -> None:
    before = report.section(good)
    changed = copy.deepcopy(good)
    changed["sqlite"]["rows"][0]["p99_ms"] = 17.5
    assert report.section(changed) != before
    assert "17.5" in report.section(changed)


def test_what_stands_outside_the_marks_stays() -> None:
    page = f"before\n{report.BEGIN}old\n{report.END}after\n"
    assert report.replaced(page, "new\n") == f"before\n{report.BEGIN}new\n{report.END}after\n"


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END + report.BEGIN])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="the page has no"):
        report.replaced(page, "new\n")


def test_aims_that_are_just_reached_are_met(good: dict[str, Any]) -> None:
    assert missed(good) == []
    assert len(aims(good)) == 9


@pytest.mark.parametrize(
    ("name", "at", "change", "figure", "held"),
    [
        ("sqlite", 1, {"p50_ms": 0.81}, "p50 at 60 %", "the policy"),
        ("sqlite", 1, {"p99_ms": 4.1}, "p99 at 60 %", "600 of 800 µs"),
        ("sqlite", 0, {"per_core": 1199.0}, "calls a second and core", "evaluators 480 µs"),
        ("sqlite", 0, {"over_alone": 2.01}, "over input and evaluation alone", "alone 450 µs"),
        ("values", 1, {"lone_p99_ms": 5.1}, "10,000 values", "workers 400 µs"),
        ("values", 1, {"cpu_us": 9e6}, "growth", ""),
        ("stages", 0, {"share": 0.26}, "enter()", ""),
        ("stages", 1, {"share": 0.11}, "the log", ""),
    ],
)
def test_an_aim_that_is_missed_says_what_holds_it(
    good: dict[str, Any], name: str, at: int, change: dict[str, Any], figure: str, held: str
) -> None:
    good[name]["rows"][at].update(change)
    [found] = [aim for aim in aims(good) if not aim.met]
    assert figure in found.figure
    assert held in found.held


def test_a_part_that_the_report_does_not_know_is_a_table_with_its_words(tmp_path: Path) -> None:
    other = part("peers", {"name": "echo", "us": 41.0}) | {"title": "Peers", "note": "The same."}
    assert report.section({"peers": other}, tmp_path) == (
        "\n### Peers\n\nThe same.\n\n|  | us |\n| --- | ---: |\n| echo | 41 |\n\n"
    )


def test_remarks_of_a_person_are_part_of_the_section(good: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "remarks.md").write_text("The floor is the engine.\n")
    assert "\nThe floor is the engine.\n" in report.section(good, tmp_path)
    assert "The floor" not in report.section(good, tmp_path / "none")
