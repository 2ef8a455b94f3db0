"""Tokens at the two enforce endpoints: hostile ones are JWT_INVALID, old ones are the policy's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.wiring import Services, build_services
from tests.clocks import Clock
from tests.servers import API_KEY, make_prepared
from tests.session.hostile_tokens import Forger, hostile

ENDPOINTS = ["/v1/enforce", "/v1/mcp/enforce"]
START = 1_800_000_000
KEY = generate_private_key(65537, 2048)
HOSTILE = list(hostile(Forger("any", KEY, START, "any", "any", KEY)))


@pytest.fixture(scope="module")
def standing() -> Clock:
    return Clock(float(START))


@pytest.fixture
def clock(standing: Clock) -> Clock:
    standing.now = START
    return standing


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, standing: Clock) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("tokens") / "data"
    make_prepared(folder)
    config = Config.model_validate({"data_dir": folder, "bootstrap_api_key": API_KEY})
    built = build_services(config, standing)
    yield built
    built.close()


@pytest.fixture(scope="module")
def http(services: Services) -> falcon.testing.TestClient:
    client = falcon.testing.TestClient(
        create_app(services), headers={"X-Scopebound-API-Key": API_KEY}
    )
    role = {"name": "r", "allowed_tools": ["read"], "default_ttl_seconds": 600}
    assert client.simulate_post("/mgmt/v1/roles", json=role).status_code == 201
    return client


@pytest.fixture(scope="module")
def forger(services: Services) -> Forger:
    """An attacker who stole this node's private key."""
    kid, key = services.keys.current()
    config = services.config
    return Forger(kid, key, START, issuer=config.issuer, audience=config.audience)


def decide(http: falcon.testing.TestClient, path: str, token: str) -> dict[str, Any]:
    body = json.dumps({"jwt": token, "tool_name": "read", "call_args": {}})
    answer = http.simulate_post(path, body=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "lone surrogate"])
def test_hostile_tokens_are_denied(
    http: falcon.testing.TestClient, clock: Clock, forger: Forger, path: str, name: str
) -> None:
    decision = decide(http, path, hostile(forger)[name]())
    assert (decision["decision"], decision["deny_code"]) == ("deny", "JWT_INVALID")
    assert decision["severity"] == "high"
    assert decision["reason"].startswith("the session token is refused: ")
    assert "bundle_id" not in decision


@pytest.mark.parametrize("path", ENDPOINTS)
def test_what_is_no_text_is_an_unfit_request(
    http: falcon.testing.TestClient, clock: Clock, forger: Forger, path: str
) -> None:
    decision = decide(http, path, hostile(forger)["lone surrogate"]())
    assert decision["deny_code"] == "REQUEST_INVALID"


def test_there_are_more_than_forty_of_them() -> None:
    assert len(HOSTILE) > 40


def provisioned(http: falcon.testing.TestClient) -> str:
    return str(http.simulate_post("/v1/provision", json={"role_id": "r"}).json["jwt"])


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("age", [600, 601, 86_400, 10**9])
def test_a_genuine_token_that_has_expired_is_judged_by_the_bundle(
    http: falcon.testing.TestClient, clock: Clock, path: str, age: int
) -> None:
    token = provisioned(http)
    clock.now = START + 599
    assert decide(http, path, token)["decision"] == "allow"
    clock.now = START + age
    decision = decide(http, path, token)
    assert (decision["decision"], decision["deny_code"]) == ("deny", "SESSION_EXPIRED")
    assert decision["severity"] == "low"
    assert decision["retry_guidance"] == "reprovision"
    assert decision["bundle_version"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_believed_token_is_refused_when_the_clock_goes_back(
    http: falcon.testing.TestClient, clock: Clock, path: str
) -> None:
    token = provisioned(http)
    assert decide(http, path, token)["decision"] == "allow"
    clock.now = START - 60
    assert decide(http, path, token)["decision"] == "allow"
    clock.now = START - 61
    assert decide(http, path, token)["deny_code"] == "JWT_INVALID"


def test_what_the_forger_signs_unchanged_is_believed(
    http: falcon.testing.TestClient, clock: Clock, forger: Forger
) -> None:
    """Otherwise the hostile ones would be refused for a reason of their own."""
    assert decide(http, "/v1/enforce", forger.forge()).get("deny_code") != "JWT_INVALID"
