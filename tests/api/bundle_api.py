"""The bundle API over real parts: follower, evaluators, gate and database."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from scopebound_engine.api.app import create_app
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.config import Config
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import Services, build_services
from tests.bundles import bundle_files, packed, server_key
from tests.postgres import Databases
from tests.servers import API_KEY, make_prepared

ROOT = "/mgmt/v1/bundles"
NOBODY = "00000000-0000-4000-8000-000000000000"

RULE = "scopebound/main.rego"
_DENIES_ALL = b"""package scopebound

import rego.v1

decision := {"allow": false, "violations": [{
	"code": "SCOPE_VIOLATION",
	"severity": "medium",
	"reason": "nothing is granted",
	"retry_guidance": "none",
}]}
"""

Result = falcon.testing.Result


def small_files(version: str) -> dict[str, bytes]:
    """A bundle with one rule, which denies everything: it is quickly checked and loaded."""
    code = {"code": "SCOPE_VIOLATION", "severity": "medium", "description": "nothing is granted"}
    manifest = {"name": "small", "version": version, "entrypoint": "scopebound/decision"}
    text = json.dumps({**manifest, "deny_codes": [code]})
    return {"manifest.json": text.encode(), RULE: _DENIES_ALL}


class BundleApi:
    """An app, and bundles for it: each newer than those before."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.data_dir = services.config.data_dir
        self.key: SigningKey = server_key(self.data_dir)
        self._app = create_app(services)
        self._numbers = itertools.count(1)
        self._clients = {API_KEY: self.client(API_KEY)}

    def client(self, secret: str) -> falcon.testing.TestClient:
        return falcon.testing.TestClient(self._app, headers={"X-Scopebound-API-Key": secret})

    def with_scopes(self, *scopes: str) -> falcon.testing.TestClient:
        """A client whose key has these scopes."""
        name = f"{'-'.join(scopes)}-{next(self._numbers)}"
        _, secret = self.services.api_keys.create(name, frozenset(scopes), ())
        return self.client(secret)

    @property
    def http(self) -> falcon.testing.TestClient:
        """A client with an admin key."""
        return self._clients[API_KEY]

    def next_version(self) -> str:
        return f"1.{next(self._numbers)}.0"

    def bundle(self, version: str = "", **files: bytes) -> bytes:
        """A small signed bundle, of the next version; `files` replace or add."""
        return packed(self.key, {**small_files(version or self.next_version()), **files})

    def shipped(self, *, denies: bool) -> bytes:
        """The shipped rules as a signed bundle of the next version; see tests/bundles.py."""
        return packed(self.key, bundle_files(self.next_version(), denies=denies))

    def upload(self, data: bytes, query: str = "", **more: Any) -> Result:
        return self.http.simulate_post(f"{ROOT}/upload", body=data, query_string=query, **more)

    def uploaded(self, data: bytes | None = None, query: str = "") -> dict[str, Any]:
        """The answer to an upload that succeeds."""
        answer = self.upload(self.bundle() if data is None else data, query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json)

    def rollback(self, bundle_id: str, **more: Any) -> Result:
        return self.http.simulate_post(f"{ROOT}/rollback/{bundle_id}", **more)

    def get(self, path: str = "") -> Any:
        """What a GET below the collection answers."""
        answer = self.http.simulate_get(f"{ROOT}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json

    def active(self) -> dict[str, Any]:
        """The version in force."""
        (active,) = [version for version in self.get()["versions"] if version["is_active"]]
        return dict(active)

    def events(self) -> list[dict[str, Any]]:
        """What happened, newest first."""
        return list(self.get("/events")["events"])

    def state(self) -> Any:
        """All that a refusal must leave as it is."""
        return self.get()["versions"]


@contextmanager
def bundle_api(folder: Path, database_url: str | None, **more: Any) -> Iterator[BundleApi]:
    """A node on this database until the block ends, with its first bundle in force."""
    settings = {"data_dir": folder / "data", "bootstrap_api_key": API_KEY, **more}
    if database_url is None:
        make_prepared(folder / "data")
        config = Config.model_validate(settings)
    else:
        settings |= {"database_url": database_url, "policies": _without_tests(folder)}
        config = Config.model_validate(settings)
        prepare(config)
    services = build_services(config)
    try:
        yield BundleApi(services)
    finally:
        services.close()


def _without_tests(folder: Path) -> Path:
    """The shipped policies without their tests, which the gate would run."""
    for name, content in bundle_files("1.0.0", denies=False).items():
        path = folder / ("policies" if name != "manifest.json" else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "policies"


def problem(answer: Result, status: int, kind: str) -> dict[str, Any]:
    """The problem of an answer, which must be of this status and kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:scopebound:problem:{kind}"
    assert answer.json["instance"] == answer.headers["x-request-id"]
    return dict(answer.json)


@contextmanager
def nothing_changes(api: BundleApi) -> Iterator[None]:
    """The versions are after the block as they were before."""
    before = api.state()
    yield
    assert api.state() == before


def last_event(api: BundleApi) -> dict[str, Any]:
    """What happened last."""
    return api.events()[0]


@contextmanager
def on_database(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory
) -> Iterator[BundleApi]:
    """For a fixture of a module with the parameters "sqlite" and "postgresql"."""
    folder = factory.mktemp(f"bundles-{request.param}")
    if request.param == "sqlite":
        with bundle_api(folder, None) as made:
            yield made
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    name = databases.create(request.getfixturevalue("migrated_template"))
    with bundle_api(folder, databases.url(name)) as made:
        yield made
    databases.drop(name)
