import json
from pathlib import Path

from click.testing import CliRunner, Result

from scopebound_engine.bundle.gate import calls
from scopebound_engine.cli.policy import policy
from tests.author.frames import MAIN, written


def run(place: Path, *arguments: str) -> Result:
    return CliRunner().invoke(policy, ["bench", str(place), "--seconds", "0.2", *arguments])


def test_typical_calls_are_timed_with_what_is_decided(tmp_path: Path) -> None:
    result = run(written(tmp_path, {}), "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert 0 < told["compile_seconds"] < 30
    found = {timing["call"]: timing for timing in told["timings"]}
    assert found.keys() == {case.name for case in calls.typical()}
    assert found["a tool call"]["decision"] == "allow"
    assert found["a delegation"]["decision"] == "deny"
    for timing in told["timings"]:
        assert 0 < timing["p50_us"] <= timing["p99_us"]
        assert timing["evaluations"] >= 50
        assert timing["per_second"] > 1


def test_facts_of_a_file_are_timed_in_their_place(tmp_path: Path) -> None:
    place = written(tmp_path / "policies", {})
    (tmp_path / "call.json").write_text(json.dumps(calls.TOOL_CALL | {"tool_name": "buy"}))
    result = run(place, "-i", str(tmp_path / "call.json"))
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["call", "decision", "per", "second", "p50", "p99"]
    assert lines[1].startswith(f"{tmp_path}/call.json  deny ")
    assert lines[-1].startswith("compiled in ")


def test_what_cannot_be_measured_ends_with_2_and_why(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"action": "surf"}')
    place = written(tmp_path / "policies", {})
    assert run(place, "-i", str(tmp_path / "bad.json")).exit_code == 2
    (place / "shop/main.rego").write_text(MAIN + "\nx := := 1\n")
    broken = run(place)
    assert broken.exit_code == 2
    assert "main.rego:" in broken.stderr
    (place / "manifest.json").unlink()
    assert "has no manifest.json" in run(place).stderr
