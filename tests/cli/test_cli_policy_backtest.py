"""`policy backtest` takes policies and records where they are; its exit code is for scripts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import archive
from scopebound_engine.cli.main import cli
from scopebound_engine.database.engine import open_database
from scopebound_engine.log.shipper import Shipper
from tests.api.clocked import clocked_service
from tests.bundles import MARKED, bundle_files, packed, quick_policies, server_key
from tests.recording import Record, lines_of, records_of


@dataclass(frozen=True)
class Node:
    """The data folder of a node which denied three marked calls, and one call with a secret."""

    data_dir: Path
    records: list[Record]
    policies: Path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with clocked_service(tmp_path_factory.mktemp("node"), None) as service:
        data_dir = service.services.config.data_dir
        data = packed(server_key(data_dir), bundle_files("1.1.0", denies=True))
        answer = service.http.simulate_post("/mgmt/v1/bundles/upload", body=data)
        assert answer.status_code == 200, answer.text
        agent = service.session(service.role("read", MARKED, log_mask=["/call_args/iban"]))
        for number in range(3):
            agent.call(MARKED, {"number": number})
            agent.call("read", {"number": number})
        agent.call("read", {"iban": "DE1"})
        agent.call("delete")
        policies = quick_policies(tmp_path_factory.mktemp("policies"))
        yield Node(data_dir, records_of(data_dir), policies)


@pytest.fixture(autouse=True)
def _here(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(node.data_dir))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["policy", "backtest", *map(str, arguments)])


def test_what_would_be_allowed_is_1_and_is_told(node: Node) -> None:
    result = run(node.policies, "--from", node.data_dir)
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    assert lines[0] == "deny → allow: 3 of 7 decisions"
    assert "MARKED_CALL → allow" in lines[2]
    marked = [one["id"] for one in node.records if one.get("deny_code") == "MARKED_CALL"]
    assert all(any(one in line for line in lines) for one in marked)
    assert lines.count("    was  MARKED_CALL: the tool is marked") == 3
    assert lines.count("    now  allow") == 3
    assert "3 of 7 decisions flip with scopebound 1.0.0" in result.output
    assert "1 have masked values" in result.output
    assert "7 were decided by bundle 1.1.0" in result.output


def test_what_decided_flips_nothing_whatever_holds_it(node: Node) -> None:
    files = bundle_files("1.1.0", denies=True)
    Path("signed.tar.gz").write_bytes(packed(server_key(node.data_dir), files))
    Path("plain.tar.gz").write_bytes(archive.write(files))
    for name in ("signed.tar.gz", "plain.tar.gz"):
        result = run(name, "--from", node.data_dir)
        assert result.exit_code == 0, result.output
        assert result.output.startswith("0 of 7 decisions flip")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--max-deny-to-allow", 3], 0),
        (["--max-deny-to-allow", 2], 1),
        (["--max-deny-to-allow", 3, "--max-flips", 2], 1),
        (["--max-deny-to-allow", 3, "--max-flips", 3], 0),
    ],
)
def test_thresholds_decide_the_exit_code(node: Node, options: list[object], code: int) -> None:
    result = run(node.policies, "--from", node.data_dir, *options, "--json", "--examples", 1)
    assert result.exit_code == code, result.output
    report = json.loads(result.output)
    assert (report["flips"], len(report["examples"]), len(report["digest"])) == (3, 1, 64)


def test_records_come_from_the_database_or_from_exports(node: Node) -> None:
    engine = open_database(None, node.data_dir)
    shipper = Shipper(engine, node.data_dir / "log", node.records[0]["node"])
    while shipper.ship():
        pass
    engine.dispose()
    lines = lines_of(node.data_dir)
    Path("lines.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    Path("array.json").write_bytes(b"[" + b",\n".join(lines) + b"]\n")
    for options in ([], ["--window", "90m"], ["--from", "lines.jsonl"], ["--from", "array.json"]):
        report = json.loads(run(node.policies, *options, "--json").output)
        assert (report["decided"], report["flips"]) == (7, 3), options


def test_of_files_a_window_leaves_out_what_is_older(node: Node) -> None:
    decided = [one for one in node.records if one.get("reproducible")]
    old = [{**one, "at_us": one["at_us"] - 2 * 3_600_000_000} for one in decided[:-2]]
    lines = [strict_json.dumps({"record": one}) for one in (*old, *decided[-2:])]
    Path("lines.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    report = json.loads(
        run(node.policies, "--from", "lines.jsonl", "--window", "1h", "--json").output
    )
    assert (report["records"], report["decided"]) == (2, 2)


def test_what_a_caller_wrote_is_spelled_out(node: Node) -> None:
    rules = bundle_files("1.2.0", denies=False)
    rule = rules["scopebound/deny/scope_violation.rego"].replace(b"not scope_held", b"input.no")
    rules["scopebound/deny/scope_violation.rego"] = rule
    main = rules["scopebound/main.rego"].replace(b"\tfacts.tool_granted\n", b"")
    Path("loose.tar.gz").write_bytes(archive.write(rules | {"scopebound/main.rego": main}))
    record = next(one for one in node.records if one.get("tool_name") == "delete")
    line = strict_json.dumps({"record": {**record, "tool_name": "delete\x1b[31m"}})
    Path("lines.jsonl").write_bytes(line + b"\n")
    result = run("loose.tar.gz", "--from", "lines.jsonl")
    assert result.exit_code == 1, result.output
    assert "delete\\x1b[31m" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "does not exist"),
        (["empty"], "holds no .rego file"),
        (["{policies}", "--window", "1 day"], "is no time"),
        (["{policies}", "--window", "0h"], "is no time"),
        (["{policies}", "--from", "nonsense"], "nonsense:1: not JSON"),
        (["{policies}", "--from", "blank"], "no decision could be decided again"),
        (["nonsense", "--from", "blank"], "gzip"),
        (["nonsense", "--manifest", "blank"], "--manifest is for a folder"),
    ],
)
def test_what_cannot_be_done_is_2(node: Node, arguments: list[str], told: str) -> None:
    Path("empty").mkdir()
    Path("blank").touch()
    Path("nonsense").write_bytes(b"nonsense\n")
    result = run(*(one.format(policies=node.policies) for one in arguments))
    assert result.exit_code == 2, result.output
    assert told in result.output


def test_what_does_not_compile_names_its_place(node: Node) -> None:
    files = bundle_files("1.2.0", denies=False) | {"scopebound/deny/b.rego": b"package a\n\nx if {"}
    Path("broken.tar.gz").write_bytes(archive.write(files))
    result = run("broken.tar.gz", "--from", node.data_dir)
    assert result.exit_code == 2, result.output
    assert "scopebound/deny/b.rego:3" in result.output


def test_elsewhere_it_needs_no_node(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(tmp_path / "nowhere"))
    Path("lines.jsonl").write_bytes(b"\n".join(lines_of(node.data_dir)) + b"\n")
    assert run(node.policies, "--from", "lines.jsonl").exit_code == 1
    result = run(node.policies)
    assert result.exit_code == 2
    assert "is not the data folder of a node" in result.output
    assert not (tmp_path / "nowhere").exists()
