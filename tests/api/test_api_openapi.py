"""The published description against the app: valid, complete, and true of what it answers."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import falcon.inspect
import falcon.testing
import openapi_spec_validator
import pytest
from bundle_api import NOBODY, small_files
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.api.app import create_app
from scopebound_engine.api.examples import bundles, decisions, explanations, webhooks
from scopebound_engine.api.examples.api_keys import API_KEY_ID
from scopebound_engine.api.examples.roles import ROLE, ROLE_ID
from scopebound_engine.api.examples.sessions import SESSION_ID
from scopebound_engine.api.operations import OPERATIONS
from scopebound_engine.bundle.registry.registry import Actor, Registry
from scopebound_engine.bundle.signature import verify
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.log.shipper import Shipper
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.webhook.posting import Poster
from scopebound_engine.wiring import Services, build_services
from tests.bundles import packed, server_key
from tests.description import DESCRIBED, DOCUMENT, NAMES, assert_valid
from tests.journals import NODE, Written
from tests.servers import API_KEY, make_prepared
from tests.webhook.delivering import store_dead_letter


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("described") / "data"
    make_prepared(folder)
    built = build_services(
        Config.model_validate({"data_dir": folder, "bootstrap_api_key": API_KEY})
    )
    yield built
    built.close()


@pytest.fixture(scope="module")
def http(services: Services) -> falcon.testing.TestClient:
    return falcon.testing.TestClient(
        create_app(services), headers={"X-Scopebound-API-Key": API_KEY}
    )


def test_the_document_is_valid_openapi(http: falcon.testing.TestClient) -> None:
    answer = http.simulate_get("/openapi.json", headers={"X-Scopebound-API-Key": ""})
    assert answer.status_code == 200
    assert answer.json == DOCUMENT
    openapi_spec_validator.validate(answer.json, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


def test_every_route_is_described_and_nothing_else(services: Services) -> None:
    routes = {
        (route.path, method.method.lower())
        for route in falcon.inspect.inspect_routes(create_app(services))
        for method in route.methods
        if not method.internal
    }
    assert {(path, method) for path, method, _ in DESCRIBED} == routes


def test_summaries_are_the_docstrings_of_those_who_answer(services: Services) -> None:
    answering = {
        (route.path, method.method.lower()): method.source_info
        for route in falcon.inspect.inspect_routes(create_app(services))
        for method in route.methods
        if not method.internal
    }
    for operation in OPERATIONS:
        code = operation.responder.__code__  # type: ignore[attr-defined]
        found = answering[operation.path, operation.method].rpartition(":")
        assert Path(code.co_filename).samefile(found[0])
        assert code.co_firstlineno == int(found[2]) + 1  # Falcon counts lines from 0
    assert all(operation["summary"] for _, _, operation in DESCRIBED)


def test_every_reference_leads_somewhere_and_every_type_is_used() -> None:
    references = set(re.findall(r'"#/components/([^"]+)"', json.dumps(DOCUMENT)))
    for reference in references:
        kind, _, name = reference.partition("/")
        assert name in DOCUMENT["components"][kind]
    assert {f"schemas/{name}" for name in DOCUMENT["components"]["schemas"]} <= references


@pytest.mark.parametrize(("path", "method", "operation"), DESCRIBED, ids=NAMES)
def test_examples_have_their_schemas(path: str, method: str, operation: Any) -> None:
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        assert_valid(content["schema"], content["example"])
    shared = DOCUMENT["components"]["responses"]
    for described in operation["responses"].values():
        answer = shared[described["$ref"].rpartition("/")[2]] if "$ref" in described else described
        for content in answer.get("content", {}).values():
            examples_ = [example["value"] for example in content.get("examples", {}).values()]
            for example in examples_ + ([content["example"]] if "example" in content else []):
                assert_valid(content["schema"], example)


def with_ids_of_the_examples(services: Services, engine: Engine) -> Services:
    """Services that give the ids the examples speak of, with the role they take for a parent."""
    ids = iter([ROLE["parent_role_id"], ROLE_ID])
    roles = RoleStore(engine, time.time, new_id=lambda: next(ids))
    roles.create(parse(RoleFields, {"name": "base-agent"}))
    keys = ApiKeyStore(engine, time.time, new_id=lambda: API_KEY_ID)
    provisioner = replace(services.provisioner, roles=roles, new_id=lambda: SESSION_ID)
    return replace(services, roles=roles, api_keys=keys, provisioner=provisioner)


def store_bundles_of_the_examples(services: Services, engine: Engine) -> None:
    """One in force, one that was, and two that never were: all of the shipped bundle's version."""
    ids = [bundles.BASELINE_ID, bundles.BUNDLE_ID, bundles.STORED_ID, bundles.OLD_ID]
    registry, actor = Registry(engine, time.time, new_id=iter(ids).__next__), Actor("test")
    trusted = TrustedKeys.read(services.config.trusted_keys_dir)
    for bundle_id in ids:
        data = small_bundle(services, bundle_id)
        registry.store(data, verify(data, trusted), description="", actor=actor)
    for bundle_id in (bundles.BASELINE_ID, bundles.BUNDLE_ID):
        registry.activate(bundle_id, actor=actor)


def ship_records_of_the_examples(services: Services, engine: Engine, folder: Path) -> None:
    journal, record = Written(folder), decisions.DECISION["record"]
    journal.append(record)
    current = services.active.current
    assert current is not None
    bundle = {"checksum": current.ref.checksum}
    journal.append({**record, "id": explanations.EXPLAINED_ID, "bundle": bundle, "input": {}})
    Shipper(engine, folder, NODE).run()


def with_a_receiver_out_of_reach(services: Services) -> Services:
    """Nothing is sent to the receiver of the examples."""
    poster = Poster(resolve=lambda *_, **__: [])
    return replace(services, webhooks=replace(services.webhooks, poster=poster))


def small_bundle(services: Services, note: str) -> bytes:
    """A bundle that differs from others by its note."""
    files = small_files("1.0.0") | {"note/data.json": json.dumps({"note": note}).encode()}
    return packed(server_key(services.config.data_dir), files)


def turn(described: tuple[str, str, Any]) -> tuple[bool, int]:
    """What makes things comes first; the rest as the table has it, which ends with deletions."""
    _, _, operation = described
    order = [listed.id for listed in OPERATIONS]
    return "201" not in operation["responses"], order.index(operation["operationId"])


# Headers of those calls only whose session has limits.
SOMETIMES = {"ratelimit", "ratelimit-policy"}


def test_examples_are_answered_as_documented(tmp_path: Path) -> None:
    make_prepared(tmp_path / "data")
    settings = {"data_dir": tmp_path / "data", "bootstrap_api_key": API_KEY}
    services = build_services(Config.model_validate(settings))
    engine = open_database(None, tmp_path / "data")
    store_bundles_of_the_examples(services, engine)
    ship_records_of_the_examples(services, engine, tmp_path / "log")
    store_dead_letter(engine, webhooks.WEBHOOK_ID, NOBODY)
    served = with_a_receiver_out_of_reach(with_ids_of_the_examples(services, engine))
    http = falcon.testing.TestClient(create_app(served))
    files = {bundles.FILE: small_bundle(services, "uploaded")}
    for path, method, operation in sorted(DESCRIBED, key=turn):
        answer = send_example(http, path, method, operation, files)
        (success,) = {"200", "201"} & operation["responses"].keys()
        assert str(answer.status_code) == success, f"{method} {path}: {answer.text}"
        described = operation["responses"][success]
        media_type = answer.headers["content-type"]
        assert media_type in described["content"]
        always = {name.lower() for name in described["headers"]} - SOMETIMES
        assert always <= set(answer.headers)
        if media_type == "application/json":
            assert_valid(described["content"][media_type]["schema"], answer.json)
    services.close()
    engine.dispose()


def send_example(
    http: falcon.testing.TestClient,
    path: str,
    method: str,
    operation: Any,
    files: Mapping[str, bytes],
) -> falcon.testing.Result:
    for parameter in operation.get("parameters", ()):
        path = path.replace(f"{{{parameter['name']}}}", parameter.get("example", ""))
    headers = {} if operation.get("security") == [] else {"X-Scopebound-API-Key": API_KEY}
    for media_type, content in operation.get("requestBody", {"content": {}})["content"].items():
        example = content["example"]
        body = json.dumps(example) if media_type == "application/json" else files[example]
        return http.simulate_request(method.upper(), path, headers=headers, body=body)
    return http.simulate_request(method.upper(), path, headers=headers)
