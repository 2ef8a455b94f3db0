"""Webhook secrets: kept, because deliveries are signed with them, and shown to nobody."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningServer, serving
from tests.watching import until

SECRET = "the-webhook-secret-0123456789"
OTHER = "another-webhook-secret-987654"
ROLES = "/mgmt/v1/roles"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with serving(tmp_path / "data", workers=1) as running:
        yield running


def break_the_table(data_dir: Path) -> None:
    """What is inserted into roles from now on fails with all its values at hand."""
    with sqlite3.connect(data_dir / "scopebound.db", timeout=5) as connection:
        connection.execute("ALTER TABLE roles RENAME COLUMN created_at TO gone")
    connection.close()


def test_a_secret_is_answered_as_a_hint_and_never_logged(server: RunningServer) -> None:
    with server.client() as http:
        role = http.post(ROLES, json={"name": "a", "webhook_secret": SECRET}).json()
        path = f"{ROLES}/{role['id']}"
        answers = [
            http.get(path),
            http.get(ROLES),
            http.put(path, json={"webhook_secret": OTHER}),
            http.put(path, json={"webhook_secret": SECRET, "surprise": 1}),
            http.post(ROLES, json={"name": "a", "webhook_secret": SECRET}),
            http.post(ROLES, json={"name": "b", "webhook_secret": SECRET[:15]}),
            http.post(ROLES, content=f'{{"name":"b","webhook_secret":"{SECRET}"'),
            http.post(f"{path}/suspend"),
            http.post(f"{path}/resume"),
        ]
        break_the_table(server.data_dir)
        broken = http.post(ROLES, json={"name": "b", "webhook_secret": SECRET})
    shown = [str(role), *(answer.text for answer in (*answers, broken))]
    assert role["webhook_secret_hint"] == "the-webh***"
    assert broken.status_code == 503
    until(lambda: "INSERT INTO roles" in server.log.read_text())  # a thread writes it
    log = server.log.read_text()
    for text in (*shown, log):
        for secret in (SECRET, OTHER):
            assert secret[8:] not in text
            assert secret[-8:] not in text
    kept = b"".join(file.read_bytes() for file in server.data_dir.glob("scopebound.db*"))
    assert OTHER.encode() in kept
