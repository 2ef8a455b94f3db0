"""Two processes that serve one database, and what a test asks of them."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from falcon.testing import TestClient

from scopebound_engine.api.app import create_app
from scopebound_engine.config import SHIPPED, Config
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import build_services

ADMIN = "sb-admin-key-of-two-processes"
ROLES = "/mgmt/v1/roles"
ENDPOINTS = ["/v1/enforce", "/v1/mcp/enforce"]
NUMBERS = itertools.count()

Pair = tuple[TestClient, TestClient]


@contextmanager
def two_processes(folder: Path, database_url: str | None) -> Iterator[Pair]:
    """Two that serve one database: workers of a host, or nodes with a data folder each."""
    shared: dict[str, Any] = {
        "bootstrap_api_key": ADMIN,
        "evaluators": 1,
        "policies": untested_policies(folder),
        # Tests share a machine; what they ask here is not how fast it is.
        "total_deadline_ms": 1_900,
    }
    second = folder / "one"
    if database_url is not None:
        shared["database_url"] = database_url
        shared["bundle_keys"] = folder / "one/bundle-keys/trusted"
        second = folder / "two"
    configs = [
        Config.model_validate({**shared, "data_dir": path}) for path in (folder / "one", second)
    ]
    for config in configs:  # both keys are published before either process looks for them
        prepare(config)
    with serving(configs[0]) as one, serving(configs[1]) as two:
        yield one, two


def untested_policies(folder: Path) -> Path:
    """The shipped ones without their tests, which would take most of the time."""
    tests = shutil.ignore_patterns("*_test.rego")
    shutil.copy(SHIPPED / "manifest.json", folder)
    return Path(shutil.copytree(SHIPPED / "policies", folder / "policies", ignore=tests))


@contextmanager
def serving(config: Config) -> Iterator[TestClient]:
    services = build_services(config)
    yield TestClient(create_app(services), headers={"X-Scopebound-API-Key": ADMIN})
    services.close()


def create(http: TestClient, **fields: Any) -> dict[str, Any]:
    role = {"name": f"role-{next(NUMBERS)}", "allowed_tools": ["read"], **fields}
    answer = http.simulate_post(ROLES, json=role)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def session(http: TestClient, role: dict[str, Any]) -> str:
    return str(http.simulate_post("/v1/provision", json={"role_id": role["id"]}).json["jwt"])


def decide(http: TestClient, jwt: str, path: str = ENDPOINTS[0]) -> dict[str, Any]:
    call = {"jwt": jwt, "tool_name": "read", "call_args": {}}
    answer = http.simulate_post(path, json=call)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)
