"""The examples of the reference's bundle versioning, uploaded and rolled back at its own times.

The bundle of the first start stands below them in the list. The paths differ by the folder: here
they are relative to the data folder.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
from sqlalchemy import update

from scopebound_engine.database.engine import open_database, transaction
from scopebound_engine.database.schema import bundles
from tests.bundles import bundle_files, packed, server_key
from tests.reference import pages
from tests.reference.service import Clock, Service, assert_shows, service
from tests.servers import API_KEY

UPLOAD = "/mgmt/v1/bundles/upload"
FEED, BASELINE = pages.BUNDLE_LIST["versions"]


class Uploads:
    """Two bundles of the version of the reference, and how they are sent."""

    def __init__(self, http: Service, data_dir: Path) -> None:
        self.http, self._key = http, server_key(data_dir)
        self._client = falcon.testing.TestClient(
            http.app, headers={"X-Scopebound-API-Key": API_KEY}
        )

    def bundle(self, note: str) -> bytes:
        files = bundle_files("1.0.0", denies=False)
        return packed(self._key, files | {"note/data.json": json.dumps({"note": note}).encode()})

    def send(self, data: bytes, at: str, query: str) -> dict[str, Any]:
        self.http.clock.set(at)
        answer = self._client.simulate_post(
            UPLOAD,
            body=data,
            query_string=query,
            headers={"Content-Type": "application/octet-stream"},
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json)


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    data_dir = tmp_path_factory.mktemp("reference-bundles") / "data"
    noon = "2026-04-29T12:00:00Z"
    with service(data_dir, Clock(noon)) as made:
        engine = open_database(None, data_dir)
        # Each upload is later than those before it, and the first start was today.
        with transaction(engine) as connection:
            connection.execute(update(bundles).values(uploaded_at=datetime.fromisoformat(noon)))
        engine.dispose()
        yield Uploads(made, data_dir)


def test_upload_upload_rollback_and_list(uploads: Uploads) -> None:
    first, second = uploads.bundle("baseline v1"), uploads.bundle("add rate limit rule")
    baseline = uploads.send(first, BASELINE["uploaded_at"], "description=baseline+v1")
    shown = {**pages.UPLOAD_RESPONSE, "uploaded_at": BASELINE["uploaded_at"]}
    shown |= {"id": baseline["id"], "checksum": hashlib.sha256(first).hexdigest()}
    assert_shows({**shown, "description": "baseline v1"}, baseline)

    feed = uploads.send(second, FEED["uploaded_at"], "description=add+rate+limit+rule")
    uploads.http.clock.set(BASELINE["activated_at"])
    status, back = uploads.http.ask("POST", f"/mgmt/v1/bundles/rollback/{baseline['id']}")
    assert status == 200
    assert_shows(
        {
            **pages.ROLLBACK_RESPONSE,
            "version_id": baseline["id"],
            "checksum": baseline["checksum"],
        },
        back,
    )

    status, listed = uploads.http.ask("GET", "/mgmt/v1/bundles")
    assert (status, listed["count"]) == (200, 3)
    for example, answered, uploaded in zip(
        pages.BUNDLE_LIST["versions"], listed["versions"], (feed, baseline), strict=False
    ):
        path = example["bundle_path"].removeprefix("rules/")
        same = {"id": uploaded["id"], "checksum": uploaded["checksum"], "bundle_path": path}
        assert_shows({**example, **same}, answered)
