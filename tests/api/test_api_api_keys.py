"""/mgmt/v1/api-keys on the real app, and what a caller learns who tries too many wrong keys."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from scopebound_engine.access.attempts import MOST
from scopebound_engine.access.model import SCOPES
from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.wiring import Services, build_services
from tests.servers import API_KEY, make_prepared

KEYS = "/mgmt/v1/api-keys"
FIELDS = {"id", "name", "hint", "scopes", "roles", "created_at", "last_used_at", "revoked_at"}
NOBODY = "00000000-0000-4000-8000-000000000000"

Client = falcon.testing.TestClient


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("api-keys") / "data"
    make_prepared(folder)
    config = Config.model_validate({"data_dir": folder, "bootstrap_api_key": API_KEY})
    built = build_services(config)
    yield built
    built.close()


def client(services: Services, secret: str = API_KEY) -> Client:
    return Client(create_app(services), headers={"X-Scopebound-API-Key": secret})


@pytest.fixture(scope="module")
def http(services: Services) -> Client:
    return client(services)


def made(http: Client, name: str, *scopes: str, **fields: Any) -> dict[str, Any]:
    answer = http.simulate_post(KEYS, json={"name": name, "scopes": scopes, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def assert_problem(answer: falcon.testing.Result, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:scopebound:problem:{kind}"
    assert answer.json["instance"] == answer.headers["x-request-id"]
    return str(answer.json["detail"])


def test_a_key_is_made_and_its_secret_shown_once(services: Services, http: Client) -> None:
    answer = http.simulate_post(
        KEYS, json={"name": "ci", "scopes": ["enforce", "audit"], "roles": ["r", "r"]}
    )
    assert answer.status_code == 201
    key = answer.json
    secret = key.pop("api_key")
    assert re.fullmatch(r"sb-[\w-]{43}", secret)
    assert set(key) == FIELDS
    assert (key["name"], key["hint"]) == ("ci", secret[:8])
    assert (key["scopes"], key["roles"]) == (["audit", "enforce"], ["r"])
    assert (key["last_used_at"], key["revoked_at"]) == (None, None)
    assert answer.headers["location"] == f"{KEYS}/{key['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert http.simulate_get(answer.headers["location"]).json == key
    listed = http.simulate_get(KEYS)
    assert key in listed.json["api_keys"]
    assert secret not in listed.text
    assert "hash" not in listed.text
    assert services.api_keys.authenticate(secret).id == key["id"]


def test_the_list_counts_and_is_eldest_first(http: Client) -> None:
    names = [made(http, name, "audit")["name"] for name in ("list-1", "list-2")]
    listed = http.simulate_get(KEYS).json
    assert listed["count"] == len(listed["api_keys"])
    assert [key["name"] for key in listed["api_keys"]][-2:] == names
    assert all(set(key) == FIELDS for key in listed["api_keys"])


def test_times_are_utc_to_the_second(http: Client) -> None:
    key = made(http, "times", "audit")
    stamp = datetime.strptime(key["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(stamp.timestamp() - time.time()) < 5


def test_a_made_key_works_and_a_revoked_one_does_not(services: Services, http: Client) -> None:
    key = made(http, "worker", "roles")
    own = client(services, key["api_key"])
    assert own.simulate_get("/mgmt/v1/roles").status_code == 200
    revoked = http.simulate_delete(f"{KEYS}/{key['id'].upper()}")
    assert revoked.status_code == 200
    assert set(revoked.json) == FIELDS
    assert revoked.json["revoked_at"] is not None
    time.sleep(0.5)
    assert_problem(own.simulate_get("/mgmt/v1/roles"), 401, "unauthenticated")
    assert http.simulate_delete(f"{KEYS}/{key['id']}").json == revoked.json
    assert http.simulate_get(f"{KEYS}/{key['id']}").json == revoked.json


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["enforce"]}, "name"),
        ({"name": "x"}, "scopes"),
        ({"name": 7, "scopes": ["enforce"]}, "name"),
        ({"name": "", "scopes": ["enforce"]}, "name"),
        ({"name": "x" * 129, "scopes": ["enforce"]}, "name"),
        ({"name": "a\nb", "scopes": ["enforce"]}, "name"),
        ({"name": "x", "scopes": "enforce"}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "x", "scopes": ["enforce", None]}, "scopes.1"),
        ({"name": "x", "scopes": {"admin": True}}, "scopes"),
        ({"name": "x", "scopes": ["enforce"], "roles": None}, "roles"),
        ({"name": "x", "scopes": ["enforce"], "roles": "r"}, "roles"),
        ({"name": "x", "scopes": ["enforce"], "roles": [1]}, "roles.0"),
        ({"name": "x", "scopes": ["enforce"], "roles": ["ok", ""]}, "roles.1"),
        ({"name": "x", "scopes": ["admin"], "roles": ["r"]}, "roles"),
        ({"name": "x", "scopes": ["audit"], "roles": ["r"]}, "roles"),
        ({"name": "x", "scopes": ["enforce"], "api_key": "sb-mine"}, "api_key"),
        ({"name": "x", "scopes": ["enforce"], "hash": "0"}, "hash"),
        ([], ""),
        (None, ""),
        ("x", ""),
    ],
)
def test_an_unfit_body_names_the_field_and_makes_nothing(
    http: Client, body: Any, field: str
) -> None:
    before = http.simulate_get(KEYS).json["count"]
    answer = http.simulate_post(KEYS, json=body)
    assert_problem(answer, 400, "invalid-request")
    assert answer.json.get("field", "") == field
    assert http.simulate_get(KEYS).json["count"] == before


def test_a_near_miss_is_named(http: Client) -> None:
    answer = http.simulate_post(KEYS, json={"name": "x", "scope": ["enforce"], "scopes": ["audit"]})
    assert "did you mean scopes?" in assert_problem(answer, 400, "invalid-request")


def test_a_taken_name_is_a_conflict(http: Client) -> None:
    made(http, "twin", "audit")
    answer = http.simulate_post(KEYS, json={"name": "twin", "scopes": ["audit"]})
    assert "choose another name" in assert_problem(answer, 409, "conflict")


@pytest.mark.parametrize("key_id", [NOBODY, "ci", "%00", "1", "..%2Froles"])
def test_a_key_that_is_not_there_is_404(http: Client, key_id: str) -> None:
    assert_problem(http.simulate_get(f"{KEYS}/{key_id}"), 404, "not-found")
    assert_problem(http.simulate_delete(f"{KEYS}/{key_id}"), 404, "not-found")


def test_only_admins_see_or_change_keys(services: Services, http: Client) -> None:
    key = made(http, "everything-else", *sorted(SCOPES - {"admin"}))
    own = client(services, key["api_key"])
    body = {"name": "more", "scopes": ["admin"]}
    for answer in (
        own.simulate_get(KEYS),
        own.simulate_post(KEYS, json=body),
        own.simulate_get(f"{KEYS}/{key['id']}"),
        own.simulate_delete(f"{KEYS}/{key['id']}"),
    ):
        assert "lacks the scope admin" in assert_problem(answer, 403, "forbidden")
    without = Client(create_app(services))
    assert_problem(without.simulate_get(KEYS), 401, "unauthenticated")
    assert "more" not in http.simulate_get(KEYS).text


def test_the_last_admin_key_stays_until_there_is_another(services: Services, http: Client) -> None:
    (last,) = [
        key
        for key in http.simulate_get(KEYS).json["api_keys"]
        if "admin" in key["scopes"] and key["revoked_at"] is None
    ]
    answer = http.simulate_delete(f"{KEYS}/{last['id']}")
    assert "make another first" in assert_problem(answer, 409, "conflict")
    second = made(http, "second-admin", "admin")
    own = client(services, second["api_key"])
    assert http.simulate_delete(f"{KEYS}/{second['id']}").status_code == 200
    third = made(http, "third-admin", "admin")
    own = client(services, third["api_key"])
    assert own.simulate_delete(f"{KEYS}/{third['id']}").status_code == 200


def test_the_last_use_is_told(services: Services, http: Client) -> None:
    key = made(http, "used", "roles")
    client(services, key["api_key"]).simulate_get("/mgmt/v1/roles")
    deadline = time.monotonic() + 5
    while (told := http.simulate_get(f"{KEYS}/{key['id']}").json)["last_used_at"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert told["last_used_at"] >= told["created_at"]


PATHS = ["/v1/enforce", "/v1/mcp/enforce", "/v1/provision", "/mgmt/v1/roles", KEYS]


@pytest.mark.parametrize("number", range(len(PATHS)))
def test_too_many_wrong_keys_from_one_address_are_told_to_wait(
    services: Services, http: Client, number: int
) -> None:
    path, address = PATHS[number], f"192.0.2.{number}"
    wrong = client(services, "sb-" + "x" * 43)

    def knock(**headers: str) -> falcon.testing.Result:
        body = {"jwt": "x", "tool_name": "read", "call_args": {}}
        return wrong.simulate_post(path, json=body, remote_addr=address, headers=headers)

    for _ in range(MOST):
        assert_problem(knock(), 401, "unauthenticated")
    answer = knock(**{"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7"})
    assert "wait" in assert_problem(answer, 429, "too-many-attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 60

    served = http.simulate_get("/mgmt/v1/roles", remote_addr=address)
    assert served.status_code == 200
    elsewhere = wrong.simulate_post(path, json={}, remote_addr="192.0.2.200")
    assert elsewhere.status_code == 401


def test_no_key_at_all_is_no_attempt(services: Services) -> None:
    without = Client(create_app(services))
    for _ in range(MOST + 5):
        answer = without.simulate_get("/mgmt/v1/roles", remote_addr="192.0.2.100")
        assert_problem(answer, 401, "unauthenticated")
