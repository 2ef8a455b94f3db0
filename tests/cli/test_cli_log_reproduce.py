"""`log reproduce` finds records and bundles where they are; its exit code is for scripts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine import strict_json
from scopebound_engine.bundle.registry.history import History
from scopebound_engine.cli.main import cli
from scopebound_engine.database.engine import open_database
from scopebound_engine.log import export
from scopebound_engine.log.shipper import Shipper
from tests.api.clocked import clocked_service
from tests.recording import lines_of, records_of


@dataclass(frozen=True)
class Node:
    """The data folder of a node; the ids of three of its records, and its bundle's checksum."""

    data_dir: Path
    allowed: str
    denied: str
    masked: str
    checksum: str


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with clocked_service(tmp_path_factory.mktemp("node"), None) as service:
        agent = service.session(service.role("read", log_mask=["/call_args/iban"]))
        calls = (("read", {}), ("delete", {"a": "é"}), ("read", {"iban": "DE1"}))
        answers = [agent.call(*call) for call in calls]
        allowed, denied, masked = (answer["decision_id"] for answer in answers)
        data_dir = service.services.config.data_dir
        yield Node(data_dir, allowed, denied, masked, answers[0]["bundle_checksum"])


@pytest.fixture(autouse=True)
def _here(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(node.data_dir))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["log", "reproduce", *map(str, arguments)])


def test_a_record_that_is_only_in_this_nodes_journal_yet_is_found_there(node: Node) -> None:
    result = run(node.denied)
    assert result.exit_code == 0, result.output
    assert f"{node.denied} tool_call.deny: identical" in result.output
    assert "records: 1; 1 identical, 0 different, 0 not reproducible" in result.output


def test_what_cannot_be_made_again_says_why(node: Node) -> None:
    result = run(node.masked)
    assert result.exit_code == 2
    assert "not reproducible: masked" in result.output
    assert "/call_args/iban" in result.output


def test_a_journal_is_made_again_as_a_whole(node: Node) -> None:
    for path in (node.data_dir, node.data_dir / "log"):
        result = run(path)
        assert result.exit_code == 0, result.output
        assert "2 identical, 0 different" in result.output
        assert "1 have masked values" in result.output


def test_what_is_in_the_database_is_read_there_and_so_are_exports(node: Node) -> None:
    engine = open_database(None, node.data_dir)
    shipper = Shipper(engine, node.data_dir / "log", records_of(node.data_dir)[0]["node"])
    while shipper.ship():
        pass
    found = list(export.lines(engine, 0, 1 << 62))
    engine.dispose()
    assert len(found) == len(lines_of(node.data_dir))
    Path("array.json").write_bytes(b"".join(export.as_json(found)))
    Path("lines.jsonl").write_bytes(b"".join(export.as_jsonl(found)))
    for arguments in (
        ["--window", "1h"],
        ["array.json"],
        ["lines.jsonl"],
        [node.allowed, node.denied],
    ):
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.output)
        assert (document["identical"], document["different"]) == (2, 0)


def test_a_difference_is_1_and_is_told(node: Node) -> None:
    [record] = [one for one in records_of(node.data_dir) if one["id"] == node.denied]
    record |= {"decision": "allow", "event": "tool_call.allow", "engine": "0.0.1"}
    Path("forged.jsonl").write_bytes(strict_json.dumps({"record": record}) + b"\n")
    result = run("forged.jsonl")
    assert result.exit_code == 1
    assert f"{node.denied} tool_call.allow: DIFFERENT (recorded by version 0.0.1)" in result.output
    assert '/decision: recorded "allow", now "deny"' in result.output
    [told] = json.loads(run("forged.jsonl", "--json").output)["told"]
    assert (told["outcome"], len(told["differences"])) == ("different", 2)


def test_elsewhere_it_takes_the_bundle_and_the_key(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(tmp_path / "nowhere"))
    Path("lines.jsonl").write_bytes(b"\n".join(lines_of(node.data_dir)))
    Path("bundle.tar.gz").write_bytes(History(node.data_dir).find(node.checksum) or b"")
    trust = ("--trust", node.data_dir / "bundle-keys/trusted")
    assert run("lines.jsonl", "--bundle", "bundle.tar.gz", *trust).exit_code == 0
    without = run("lines.jsonl", *trust)
    assert without.exit_code == 2
    assert "2 name a bundle that cannot be had" in without.output
    assert node.checksum in without.output
    assert run("lines.jsonl", "--bundle", "bundle.tar.gz").exit_code == 2
    assert run(node.denied).exit_code == 2
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nobody"],
        ["01900000-0000-7000-8000-000000000000"],
        ["--window", "0h"],
        ["--window", "1"],
        ["empty"],
    ],
)
def test_what_cannot_be_done_is_2(arguments: list[str]) -> None:
    Path("empty").touch()
    assert run(*arguments).exit_code == 2


def test_a_line_that_is_none_is_named(node: Node) -> None:
    Path("lines.jsonl").write_bytes(lines_of(node.data_dir)[0] + b"\nnonsense\n")
    result = run("lines.jsonl")
    assert result.exit_code == 2
    assert "lines.jsonl:2: not JSON" in result.output
