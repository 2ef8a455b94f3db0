"""The versions a server keeps: listed, shown, gone back to, removed, fetched."""

import hashlib
import json
from typing import Any

import pytest

from tests.bundles import make_bundle, server_key
from tests.cli.answering import Answering
from tests.cli.bundle_commands import done, failed, refused, run
from tests.servers import RunningServer

BUNDLES = "/mgmt/v1/bundles"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def kept(running: RunningServer) -> list[dict[str, Any]]:
    """Four versions, oldest first: of the first start, 1.1.0, 1.2.0, and 1.3.0 only stored."""
    key = server_key(running.data_dir)
    with running.client(timeout=60) as http:
        for version, query in (("1.1.0", ""), ("1.2.0", ""), ("1.3.0", "activate=false")):
            data = make_bundle(key, version, denies=version == "1.1.0")
            answer = http.post(f"{BUNDLES}/upload?{query}&description=v{version}", content=data)
            assert answer.status_code == 200, answer.text
        versions: list[dict[str, Any]] = http.get(BUNDLES).json()["versions"]
    return versions[::-1]


@pytest.fixture
def ids(server: RunningServer, kept: list[dict[str, Any]]) -> list[str]:
    """Their ids; 1.2.0 is in force."""
    found = [str(version["id"]) for version in kept]
    with server.client(timeout=60) as http:
        assert http.post(f"{BUNDLES}/rollback/{found[2]}").status_code == 200
    return found


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def version(version_id: str, *, active: bool = False, at: str | None = "then") -> dict[str, Any]:
    """A version as a list has it, as far as names of versions need it."""
    return {"id": version_id, "version": "1.0.0", "is_active": active, "activated_at": at}


def test_list_shows_what_is_in_force_what_was_and_what_never_was(ids: list[str]) -> None:
    said = done("list")
    header, *lines = said.splitlines()
    assert header.split() == ["VERSION", "ID", "UPLOADED", "BY", "IN", "FORCE", "DESCRIPTION"]
    assert [line[0] for line in lines] == [" ", "*", " ", " "]
    assert [line[3:].split()[1] for line in lines] == ids[::-1]
    states = ["never", "since", "formerly", "formerly"]
    assert all(state in line for state, line in zip(states, lines, strict=True))
    assert "v1.2.0" in lines[1]
    told = json.loads(done("list", "--json"))
    assert [each["id"] for each in told["versions"]] == ids[::-1]


def test_show_tells_what_a_version_holds_and_what_happened_to_it(ids: list[str]) -> None:
    said = done("show", ids[1])
    assert ["version", "1.1.0"] in rows(said)
    assert ["in", "force", "no"] in rows(said)
    assert "MARKED_CALL" in said
    assert "scopebound/deny/marked_call.rego" in said
    assert json.loads(done("show", "active", "--json"))["id"] == ids[2]
    _, _, events = said.partition("\nevents\n")
    assert {row[2] for row in rows(events)} >= {"uploaded", "activated"}


def test_previous_leads_further_back_each_time_and_never_forward(ids: list[str]) -> None:
    assert ["id", ids[1]] in rows(done("rollback", "previous", "--reason", "too strict"))
    told = json.loads(done("rollback", "previous", "--json"))
    assert told["version_id"] == ids[0]
    assert "no version that was in force before 1.0.0" in failed("rollback", "previous")
    back = done("rollback", ids[2])
    assert "in force again as generation" in back
    assert "unchanged: it is in force already" in done("rollback", ids[2])


def test_a_version_that_never_was_in_force_is_not_gone_back_to(ids: list[str]) -> None:
    assert "never in force" in refused("rollback", ids[3])


def test_events_tell_who_did_what_and_why(ids: list[str]) -> None:
    done("rollback", ids[1], "--reason", "w" * 100)
    header, newest, *_ = rows(done("events", "--limit", "3"))
    assert header == ["NUMBER", "AT", "WHAT", "VERSION", "GENERATION", "BY", "WHY"]
    assert newest[2:4] == ["rolled_back", "1.1.0"]
    assert newest[-1] == "w" * 59 + "…"
    told = json.loads(done("events", "--limit", "1", "--before", newest[0], "--json"))
    assert [each["id"] for each in told["events"]] == [int(newest[0]) - 1]


def test_download_writes_the_exact_bytes_and_replaces_nothing(ids: list[str], work: Any) -> None:
    done("download", "active", "--out", "active.tgz")
    data = (work / "active.tgz").read_bytes()
    shown = json.loads(done("show", "active", "--json"))
    assert hashlib.sha256(data).hexdigest() == shown["checksum"]
    assert json.loads(done("inspect", "active", "--json"))["checksum"] == shown["checksum"]
    assert run("download", ids[0], "--out", "active.tgz").exit_code == 2
    assert (work / "active.tgz").read_bytes() == data


def test_delete_removes_a_version_but_not_the_one_in_force(
    server: RunningServer, ids: list[str]
) -> None:
    key = server_key(server.data_dir)
    with server.client(timeout=60) as http:
        data = make_bundle(key, "1.4.0", denies=False)
        made = http.post(f"{BUNDLES}/upload?activate=false", content=data).json()["id"]
    assert "is in force" in refused("delete", ids[2])
    assert made in done("delete", made)
    assert "404" in failed("show", made)
    assert "404" in failed("delete", UNKNOWN)


@pytest.mark.parametrize(
    ("kept", "previous"),
    [
        ([version("b", active=True), version("a")], "a"),
        ([version("c"), version("b", active=True), version("a")], "a"),
        ([version("c", active=True), version("b", at=None), version("a")], "a"),
        ([version("b"), version("a", active=True)], None),
        ([version("b", active=True), version("a", at=None)], None),
        ([version("a")], None),
    ],
)
def test_previous_is_the_last_before_the_active_one_that_was_in_force(
    answers: Answering, kept: list[dict[str, Any]], previous: str | None
) -> None:
    answers.answer(f"GET {BUNDLES}", 200, {"count": len(kept), "versions": kept})
    answers.answer(f"GET {BUNDLES}/{previous}", 404, {"detail": "it was asked for"})
    said = failed("show", "previous")
    assert ("it was asked for" in said) == (previous is not None)


def test_bytes_that_came_otherwise_than_they_are_kept_are_not_written(
    answers: Answering, work: Any
) -> None:
    path = f"GET {BUNDLES}/{UNKNOWN}/download"
    answers.answers[path] = (200, {"ETag": f'"{hashlib.sha256(b"a").hexdigest()}"'}, b"b")
    assert "are not those of the checksum" in failed("download", UNKNOWN, "--out", "b.tgz")
    assert not (work / "b.tgz").exists()
