"""`policy watch` as a process: what each save changes, and how it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scopebound_engine.author.watch import Round, rounds
from tests.author.frames import MAIN, TOOL, written
from tests.servers import environment

TEST = """package shop_test

import data.shop

test_no_tool_is_closed if not shop.tool_open with input as {}
"""
SECONDS = 30
LINE = MAIN[: MAIN.index("tool_open if")].count("\n") + 1


@contextmanager
def watching(place: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "scopebound_engine", "policy", "watch", str(place)]
    process = subprocess.Popen(
        [*command, "--acknowledge-floor", *arguments],
        env=environment(place.parent / "data"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def looked(process: "subprocess.Popen[str]") -> str:
    """What one look writes, up to the blank line behind it."""
    assert process.stdout is not None
    lines = []
    while line := process.stdout.readline().rstrip("\n"):
        lines.append(line)
    return "\n".join(lines)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return written(tmp_path / "policies", {"shop/main_test.rego": TEST})


def test_each_save_tells_what_it_changed_until_an_interrupt(place: Path) -> None:
    with watching(place) as process:
        assert looked(process).endswith("1 of 1 tests passed")
        (place / "shop/main.rego").write_text(MAIN.replace("tool_name in", "tol_name in"))
        broken = looked(process)
        assert "  shop/main.rego\n" in broken
        assert f"{place}/shop/main.rego:{LINE}:14: error: there is no input.tol_name" in broken
        (place / "shop/deny/tool.rego").write_text(TOOL + "\nidle := 1\n")
        more = looked(process)
        assert "warning: data.shop.deny.idle is used by nothing" in more
        assert f"still:  shop/main.rego:{LINE}: there is no input.tol_name" in more
        (place / "shop/main.rego").write_text(MAIN)
        assert f"mended: shop/main.rego:{LINE}: there is no input.tol_name" in looked(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (0, "", "\n")


def test_json_is_a_line_for_each_look(place: Path) -> None:
    with watching(place, "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["ok"], first["changed"], first["tests"]) == (True, [], 1)
        (place / "shop/main_test.rego").write_text(TEST.replace("if not", "if"))
        second = json.loads(process.stdout.readline())
    assert (second["ok"], second["changed"]) == (False, ["shop/main_test.rego"])
    assert second["findings"][-1]["step"] == "tests"


def changed_once(place: Path, change: object) -> Round:
    """The second round, after a change that is made while nobody looks."""

    def wait(_seconds: float) -> None:
        nonlocal change
        if change is not None:
            change()  # type: ignore[operator]
            change = None

    found = rounds(place, acknowledge_floor=True, wait=wait)
    next(found)
    return next(found)


def test_a_folder_that_is_gone_for_a_moment_is_told_and_no_end(place: Path) -> None:
    found = changed_once(place, lambda: place.rename(place.parent / "away"))
    assert "is not a folder" in found.stopped
    assert not found.is_fine


def test_the_manifest_beside_the_folder_counts(place: Path) -> None:
    (place / "manifest.json").rename(place.parent / "manifest.json")
    found = changed_once(place, lambda: (place.parent / "manifest.json").write_text("{}"))
    assert found.changed == (str(place.parent / "manifest.json"),)
    assert not found.is_fine


def test_a_test_that_refers_to_what_is_not_there_is_told_once(place: Path) -> None:
    text = TEST.replace("shop.tool_open", "shop.tol_open(1)")
    found = changed_once(place, lambda: (place / "shop/main_test.rego").write_text(text))
    assert found.tested is None
    assert [(item.file, item.line) for item in found.findings if item.level == "error"] == [
        ("shop/main_test.rego", 5)
    ]
