"""The API walked by Schemathesis as it is described, and held to its description.

Bodies, parameters, headers and methods are made from the description, fit and unfit ones; each
answer must have a documented status, media type, headers and schema. SCOPEBOUND_TEST_WALKS=500
makes it long.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.store import Sessions
from scopebound_engine.webhook.posting import Poster
from scopebound_engine.wiring import build_services
from tests.description import DOCUMENT
from tests.servers import API_KEY, make_prepared

WALKS = int(os.environ.get("SCOPEBOUND_TEST_WALKS", "20"))
BOUNDED = settings(
    max_examples=WALKS,
    stateful_step_count=18,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Unfit bodies are answered with 200 and a denial there.
ENFORCE = {"/v1/enforce", "/v1/mcp/enforce"}
# Where fit is more than a schema can say: patterns that compile, hours that differ, known parents;
# roles of a key that may provision; numbers that strict JSON refuses in fields that are ignored;
# signed archives; texts that people can read.
MORE_THAN_A_SCHEMA = {
    *("createRole", "updateRole", "createApiKey", "provision"),
    *("uploadBundle", "rollbackBundle", "revokeSession", "clearDrift"),
}


class Served:
    """The app, made when tests run: they are collected from the description alone."""

    def __init__(self) -> None:
        self._app: Any = None
        self._calls = 0
        self._ends = ExitStack()

    def start(self, folder: Path) -> None:
        make_prepared(folder / "template")
        settings = {"data_dir": folder / "template", "bootstrap_api_key": API_KEY}
        services = build_services(Config.model_validate(settings))
        # No name is looked up, and nobody is sent anything.
        poster = Poster(resolve=lambda *_, **__: [])
        self._services = replace(services, webhooks=replace(services.webhooks, poster=poster))
        self._folder = folder
        self.renew()

    def renew(self) -> None:
        """Forget roles and API keys, so that what is answered depends on what is sent alone."""
        self._ends.close()
        folder = self._folder / str(self._calls)
        make_prepared(folder)
        engine = open_database(None, folder)
        self._ends.callback(shutil.rmtree, folder)
        self._ends.callback(engine.dispose)
        roles, keys = RoleStore(engine, time.time), ApiKeyStore(engine, time.time)
        doorkeeper = Doorkeeper(keys, time.time)
        self._ends.callback(doorkeeper.close)
        old = self._services
        sessions = Sessions(engine, time.time)
        delegations = replace(old.provisioner.delegations, roles=roles)
        provisioner = replace(
            old.provisioner,
            roles=roles,
            sessions=sessions,
            baselines=Baselines(engine, time.time),
            delegations=delegations,
        )
        self._app = create_app(
            replace(old, roles=roles, api_keys=keys, doorkeeper=doorkeeper, provisioner=provisioner)
        )

    def stop(self) -> None:
        self._ends.close()
        self._services.close()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Each call comes from an address of its own: wrong keys are limited by address."""
        self._calls += 1
        environ["REMOTE_ADDR"] = str(ip_address(0x0A000000 + self._calls))
        return self._app(environ, start_response)


SERVED = Served()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.app = SERVED
SCHEMA.config.update(base_url="http://localhost", headers={"X-Scopebound-API-Key": API_KEY})
SCHEMA.config.generation.update(allow_x00=False)  # refused in any body, as the description says


@pytest.fixture(scope="module", autouse=True)
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    SERVED.start(tmp_path_factory.mktemp("walk"))
    yield
    SERVED.stop()


def identity(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])


def excluded(operation: Any) -> list[Any]:
    """The checks that an operation rightly fails."""
    checks = []
    if operation.path in ENFORCE:
        checks.append(negative_data_rejection)
    if identity(operation) in MORE_THAN_A_SCHEMA:
        checks.append(positive_data_acceptance)
    if identity(operation) == "downloadBundle":
        # Schemathesis takes the key for one it made up where it makes up other headers.
        checks.append(ignored_auth)
    return checks


@SCHEMA.parametrize()
@BOUNDED
def test_each_operation_answers_as_described(case: schemathesis.Case) -> None:
    case.call_and_validate(excluded_checks=excluded(case.operation))


def walk(*tags: str) -> Any:
    """What one operation answers is what the next one is sent, along the links."""

    class Walk(SCHEMA.include(tag=list(tags)).as_state_machine()):  # type: ignore[misc]
        reached: ClassVar[set[tuple[str, int]]] = set()

        def setup(self) -> None:
            SERVED.renew()

        def validate_response(self, response: Any, case: schemathesis.Case, **more: Any) -> None:
            rightly_failed = excluded(case.operation)
            case.validate_response(response, excluded_checks=rightly_failed, transport_kwargs=more)

        def after_call(self, response: Any, case: schemathesis.Case) -> None:
            self.reached.add((identity(case.operation), response.status_code))

    return Walk


@pytest.mark.parametrize(
    ("tags", "least"),
    [
        (("api-keys",), {"createApiKey", "getApiKey", "revokeApiKey"}),
        (("bundles",), {"listBundles", "getBundle", "downloadBundle", "rollbackBundle"}),
        (
            ("roles", "enforcement"),
            {"createRole", "getRole", "updateRole", "suspendRole", "resumeRole", "deleteRole"}
            | {"provision", "enforce", "enforceMcp"},
        ),
    ],
)
def test_a_walk_along_the_links_is_answered_as_described(
    tags: tuple[str, ...], least: set[str]
) -> None:
    walked = walk(*tags)
    walked.run(settings=BOUNDED)
    assert {name for name, status in walked.reached if status < 300} >= least
