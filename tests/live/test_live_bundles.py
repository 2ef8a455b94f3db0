"""Bundles as CI and operators see them: the reference's own lines, floods, replays, damage."""

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.registry.events import MOST_FINDINGS
from scopebound_engine.config import SHIPPED
from scopebound_engine.database.engine import open_database
from scopebound_engine.database.schema import bundles
from tests.bundle.bundle_samples import KEY
from tests.bundle.hostile_archives import ARCHIVES
from tests.bundles import (
    MARKED,
    MARKED_CODE,
    bundle_files,
    make_bundle,
    packed,
    roll_back,
    server_key,
    upload,
)
from tests.reference import pages
from tests.servers import API_KEY, RunningServer, serving

# The reference's "Bundle Versioning API", to the letter.

TAR = "tar -czf bundle.tar.gz -C rules ."

UPLOAD = r"""
curl -X POST "https://your-partner.api.scopebound.ai/mgmt/v1/bundles/upload?description=add+new+rule" \
  -H "X-Scopebound-API-Key: your-key" \
  -H "Content-Type: application/octet-stream" \
  --data-binary @bundle.tar.gz
"""  # noqa: E501

ROLLBACK = r"""
curl -X POST "https://your-partner.api.scopebound.ai/mgmt/v1/bundles/rollback/8ddcf3ca-1281-4668-9333-f067b989337f" \
  -H "X-Scopebound-API-Key: your-key"
"""  # noqa: E501

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PATH = re.compile(r"bundle-history/bundle-\d{8}-\d{6}\.tar\.gz")


# The versions of this file's bundles, on the one server that most of its tests share.
PATCHES = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("bundles") / "data") as running:
        yield running


def next_version() -> str:
    return f"1.0.{next(PATCHES)}"


def pasted(line: str, server: RunningServer, folder: Path, bundle_id: str = "") -> dict[str, Any]:
    """What a real shell prints for the line, with key, host and id changed."""
    line = line.replace("https://your-partner.api.scopebound.ai", server.url)
    line = line.replace("your-key", API_KEY)
    line = line.replace("8ddcf3ca-1281-4668-9333-f067b989337f", bundle_id)
    run = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, check=True)
    return dict(json.loads(run.stdout)) if run.stdout else {}


def listed(http: httpx.Client) -> list[dict[str, Any]]:
    """The versions; of which exactly one is active."""
    answer = http.get("/mgmt/v1/bundles").raise_for_status().json()
    assert answer["count"] == len(answer["versions"])
    assert sum(version["is_active"] for version in answer["versions"]) == 1
    return list(answer["versions"])


def active(http: httpx.Client) -> dict[str, Any]:
    return next(version for version in listed(http) if version["is_active"])


def events(http: httpx.Client) -> list[dict[str, Any]]:
    answer = http.get("/mgmt/v1/bundles/events", params={"limit": 1000})
    return list(answer.raise_for_status().json()["events"])


def token(http: httpx.Client) -> str:
    role = {"name": "caller", "allowed_tools": [MARKED], "rate_limit_per_hour": 1_000_000}
    http.post("/mgmt/v1/roles", json=role)  # 409 where it is there already
    return str(http.post("/v1/provision", json={"role_id": "caller"}).json()["jwt"])


def asked(server: RunningServer, method: str, path: str, body: Any = None) -> list[dict[str, Any]]:
    """Twelve answers, each over a new connection, so that every worker is asked."""
    with server.client() as http:
        http.headers["Connection"] = "close"
        return [http.request(method, path, json=body).json() for _ in range(12)]


def decisions(server: RunningServer, jwt: str) -> list[dict[str, Any]]:
    body = {"jwt": jwt, "tool_name": MARKED, "call_args": {}}
    return asked(server, "POST", "/v1/enforce", body)


# The reference's lines


def staged(server: RunningServer, folder: Path, version: str) -> None:
    """`rules`, staged from the shipped policies with one rule more, as an author does."""
    shutil.copytree(SHIPPED / "policies", folder / "policies", dirs_exist_ok=True)
    added = bundle_files(version, denies=True)
    (folder / "manifest.json").write_bytes(added["manifest.json"])
    rule = "scopebound/deny/marked_call.rego"
    (folder / "policies" / rule).write_bytes(added[rule])
    key = server.data_dir / "bundle-keys/signing.pem"
    command = [sys.executable, "-m", "scopebound_engine", "bundle", "stage", "policies", "rules"]
    subprocess.run([*command, "--key", key], cwd=folder, capture_output=True, check=True)


def same_kind(shown: dict[str, Any], answered: dict[str, Any]) -> None:
    """Every field that the reference shows is there, and looks as it is shown."""
    assert shown.keys() <= answered.keys()
    for field, example in shown.items():
        value = answered[field]
        assert type(value) is type(example), field
        for shape in (UUID, MOMENT):
            if isinstance(example, str) and shape.fullmatch(example):
                assert shape.fullmatch(value), f"{field}: {value}"


def test_the_lines_of_the_reference_answer_as_it_shows(
    server: RunningServer, tmp_path: Path
) -> None:
    with server.client() as http:
        jwt = token(http)
        former, version = active(http), next_version()
        staged(server, tmp_path, version)
        pasted(TAR, server, tmp_path)
        uploaded = pasted(UPLOAD, server, tmp_path)
        checksum = hashlib.sha256((tmp_path / "bundle.tar.gz").read_bytes()).hexdigest()
        same_kind(pages.UPLOAD_RESPONSE, uploaded)
        assert uploaded | {"version": version, "checksum": checksum, "is_active": True} == uploaded
        assert uploaded["description"] == "add new rule"
        assert uploaded["converged"] is True
        assert uploaded["workers"] == {"expected": 2, "running": 2, "laggards": []}
        said = decisions(server, jwt)
        assert {answer["bundle_checksum"] for answer in said} == {checksum}
        assert {answer["deny_code"] for answer in said} == {MARKED_CODE}

        newest, next_newest = listed(http)[:2]
        for shown, kept in zip(pages.BUNDLE_LIST["versions"], (newest, next_newest), strict=True):
            same_kind(shown, kept)
            stored = server.data_dir / kept["bundle_path"]
            assert PATH.fullmatch(kept["bundle_path"])
            assert hashlib.sha256(stored.read_bytes()).hexdigest() == kept["checksum"]
        assert (newest["id"], newest["is_active"]) == (uploaded["id"], True)
        assert (next_newest["id"], next_newest["is_active"]) == (former["id"], False)

        rolled = pasted(ROLLBACK, server, tmp_path, former["id"])
        same_kind(pages.ROLLBACK_RESPONSE, rolled)
        expected = {field: former[field] for field in ("version", "checksum")}
        expected |= {"message": "rollback successful", "version_id": former["id"]}
        assert rolled | expected == rolled
        assert rolled["generation"] == uploaded["generation"] + 1
        assert active(http)["id"] == former["id"]
        assert {answer["decision"] for answer in decisions(server, jwt)} == {"allow"}


# Floods and replays


def test_twenty_uploads_at_once_have_one_order_and_one_winner(server: RunningServer) -> None:
    key = server_key(server.data_dir)
    version = next_version()
    sources = [bundle_files(version, denies=number % 2 == 0) for number in range(20)]
    for number, files in enumerate(sources):
        files["scopebound/main.rego"] += f"# upload {number}\n".encode()
    archives = [packed(key, files) for files in sources]

    def send(data: bytes) -> dict[str, Any]:
        """As a client that comes again when it is told to."""
        with server.client(120) as http:
            while (answer := http.post("/mgmt/v1/bundles/upload", content=data)).status_code == 503:
                time.sleep(float(answer.headers["Retry-After"]))
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

    with server.client() as http, ThreadPoolExecutor(20) as threads:
        jwt = token(http)
        before = active(http)["generation"]
        begun = time.monotonic()
        answers = list(threads.map(send, archives))
        print(f"\n20 uploads at once, gates included: {time.monotonic() - begun:.1f} s")
        assert sorted(answer["generation"] for answer in answers) == list(
            range(before + 1, before + 21)
        )
        winner = max(answers, key=lambda answer: answer["generation"])
        versions = listed(http)
        assert len(versions) == 10
        assert active(http)["checksum"] == winner["checksum"]
        newest = sorted(answers, key=lambda answer: -answer["generation"])[:10]
        assert [version["id"] for version in versions] == [answer["id"] for answer in newest]
        said = decisions(server, jwt)
        assert {answer["bundle_generation"] for answer in said} == {winner["generation"]}
        workers = http.get("/healthz").json()["workers"]
        assert {worker["checksum"] for worker in workers} == {winner["checksum"]}
        kinds = [(event["kind"], event["generation"]) for event in reversed(events(http))]
        order = [generation for kind, generation in kinds if kind == "bundle.activated"]
        assert order == sorted(set(order))


def repacked(data: bytes, folder: Path) -> bytes:
    """The same files, packed by the system's tar."""
    for name, content in archive.read(data).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    run = subprocess.run(["tar", "-czf", "-", "-C", folder, "."], capture_output=True, check=True)
    return run.stdout


def refused(http: httpx.Client, data: bytes, status: int, **query: str) -> dict[str, Any]:
    """The problem; and nothing has changed, but that the refusal is recorded."""
    before, recorded = listed(http), events(http)
    answer = http.post("/mgmt/v1/bundles/upload", content=data, params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert listed(http) == before
    now = events(http)
    assert [event["kind"] for event in now[: len(now) - len(recorded)]] == ["bundle.refused"]
    problem = dict(answer.json())
    assert problem["findings"]
    assert now[0]["findings"] == problem["findings"][:MOST_FINDINGS]
    assert now[0]["checksum"] == hashlib.sha256(data).hexdigest()
    return problem


def test_an_old_version_cannot_be_brought_back_by_upload_repacked_or_not(
    server: RunningServer, tmp_path: Path
) -> None:
    key, low, high = server_key(server.data_dir), next_version(), next_version()
    lax, strict = make_bundle(key, low, denies=False), make_bundle(key, high, denies=True)
    with server.client() as http:
        first = upload(http, lax, denies=False)
        upload(http, strict, denies=True)
        for data in (lax, repacked(lax, tmp_path / "lax")):
            problem = refused(http, data, 409)
            assert f"rollback/{first.id}" in problem["findings"][0]["remedy"]
        again = bundle_files(low, denies=False)
        again["scopebound/main.rego"] += b"# signed anew, and low\n"
        problem = refused(http, packed(key, again), 409)
        assert f"{low} is lower than {high}" in problem["findings"][0]["message"]
        http.delete(f"/mgmt/v1/bundles/{first.id}").raise_for_status()
        assert "has been removed since" in refused(http, lax, 409)["findings"][0]["message"]
        repeated = http.post("/mgmt/v1/bundles/upload", content=repacked(strict, tmp_path / "s"))
        assert repeated.json()["unchanged"] is True
        assert repeated.json()["checksum"] == hashlib.sha256(strict).hexdigest()


# Bundles that must never take effect


ALLOW_ALL = b"""package scopebound

import rego.v1

import data.scopebound.deny

default allow := false

allow if is_string(input.tool_name)

violation := [v | some v in deny.violation]

decision := {"allow": allow, "violations": [v | some v in violation; not allow]}
"""


def test_a_bundle_that_allows_everything_is_refused_by_the_floor(server: RunningServer) -> None:
    key = server_key(server.data_dir)
    files = bundle_files(next_version(), denies=False) | {"scopebound/main.rego": ALLOW_ALL}
    with server.client() as http:
        problem = refused(http, packed(key, files), 422)
        steps = {finding["step"] for finding in problem["findings"]}
        assert "floor" in steps, problem
        assert all(finding["remedy"] for finding in problem["findings"])


def test_hostile_archives_are_refused_over_http_and_change_nothing(server: RunningServer) -> None:
    trusted = server.data_dir / "bundle-keys/trusted/hostile.pem"
    trusted.write_text(KEY.public_pem())
    with server.client() as http:
        for name, hostile in ARCHIVES.items():
            problem = refused(http, hostile.build(), 422)
            found = [f"{f['file']}: {f['message']} ({f['remedy']})" for f in problem["findings"]]
            assert any(hostile.says in text for text in found), (name, found)


# Damage


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def damage_file(server: RunningServer, path: str) -> Path:
    file = server.data_dir / path
    file.write_bytes(flip(file.read_bytes()))
    return file


def damage_row(data_dir: Path, bundle_id: str, data: bytes) -> None:
    engine = open_database(None, data_dir)
    with engine.begin() as connection:
        row = update(bundles).where(bundles.c.id == bundle_id)
        connection.execute(row.values(bytes=flip(data)))
    engine.dispose()


def problems(server: RunningServer) -> list[str]:
    """What all workers say is wrong."""
    return [each for health in asked(server, "GET", "/healthz") for each in health["problems"]]


def wait_for_problem(server: RunningServer, words: str, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not any(words in problem for problem in problems(server)):
        assert time.monotonic() < deadline, problems(server)
        time.sleep(0.1)


def test_a_damaged_copy_is_noticed_at_activation_named_and_mended(server: RunningServer) -> None:
    key = server_key(server.data_dir)
    lax, strict = (make_bundle(key, next_version(), denies=denies) for denies in (False, True))
    with server.client() as http:
        first = upload(http, lax, denies=False)
        upload(http, strict, denies=True)
        path = next(v["bundle_path"] for v in listed(http) if v["id"] == first.id)
        file = damage_file(server, path)
        roll_back(http, first.id, denies=False)
        assert file.read_bytes() == lax
        wait_for_problem(server, path)
        download = http.get(f"/mgmt/v1/bundles/{first.id}/download")
        assert download.content == lax


def test_a_damaged_row_is_noticed_and_its_bytes_are_never_served(server: RunningServer) -> None:
    key = server_key(server.data_dir)
    lax, strict = (make_bundle(key, next_version(), denies=denies) for denies in (False, True))
    with server.client() as http:
        jwt = token(http)
        first = upload(http, lax, denies=False)
        second = upload(http, strict, denies=True)
        damage_row(server.data_dir, first.id, lax)
        path = next(v["bundle_path"] for v in listed(http) if v["id"] == first.id)
        damage_file(server, path)
        answer = http.post(f"/mgmt/v1/bundles/rollback/{first.id}")
        assert answer.status_code in {409, 422}, answer.text
        assert "corrupt" in answer.text
        assert active(http)["id"] == second.id
        wait_for_problem(server, first.id)
        said = decisions(server, jwt)
        assert {answer["bundle_checksum"] for answer in said} == {second.checksum}
        assert not http.get(f"/mgmt/v1/bundles/{first.id}/download").is_success
        assert not http.get(f"/mgmt/v1/bundles/{first.id}").is_success


@pytest.mark.parametrize("damaged", ["file", "row", "both"])
def test_damage_of_the_active_bundle_is_noticed_at_start(tmp_path: Path, damaged: str) -> None:
    data_dir = tmp_path / "data"
    with serving(data_dir) as server, server.client() as http:
        jwt = token(http)
        data = make_bundle(server_key(data_dir), "1.0.1", denies=True)
        change = upload(http, data, denies=True)
        path = active(http)["bundle_path"]
    if damaged in {"file", "both"}:
        damage_file(server, path)
    if damaged in {"row", "both"}:
        damage_row(data_dir, change.id, data)
    with serving(data_dir, sound=False) as server:
        wait_for_problem(server, change.id)
        said = decisions(server, jwt)
        if damaged == "both":
            assert {answer["deny_code"] for answer in said} == {"POLICY_ERROR"}
        else:
            assert {answer["deny_code"] for answer in said} == {MARKED_CODE}
            assert {answer["bundle_checksum"] for answer in said} == {change.checksum}
        if damaged == "file":
            assert (data_dir / path).read_bytes() == data
