"""/mgmt/v1/roles on a real store, also through the published client."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import falcon
import falcon.testing
import httpx
import pytest
from scopebound import ScopeboundSDK
from scopebound.adapters.mcp_filesystem import filesystem_role_template
from sqlalchemy import Engine

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.addresses import web_address
from scopebound_engine.api import problems
from scopebound_engine.api.audit_trail import Trail
from scopebound_engine.api.roles import RoleCollection, RoleItem
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.state.sqlite import SqliteState
from scopebound_engine.session.store import Sessions
from tests.provisioning import make_provisioner
from tests.recording import make_recorder
from tests.reference import pages

NOON = 1_777_464_000  # 2026-04-29T12:00:00Z
NOWHERE = "00000000-0000-4000-8000-000000000000"
PATH = "/mgmt/v1/roles"
REFERENCE = pages.ROLE_REQUEST


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(None, tmp_path)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def keys(engine: Engine) -> ApiKeyStore:
    return ApiKeyStore(engine, lambda: NOON)


class Context:
    """Gives requests what `create_app` gives them."""

    def __init__(self, doorkeeper: Doorkeeper, trail: Trail) -> None:
        self._doorkeeper, self._trail = doorkeeper, trail

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        req.context = SimpleNamespace(
            request_id="r-1", doorkeeper=self._doorkeeper, trail=self._trail
        )


@pytest.fixture
def app(engine: Engine, keys: ApiKeyStore, tmp_path: Path) -> Iterator[Any]:
    ticks = itertools.count(NOON)
    store = RoleStore(engine, lambda: next(ticks))
    state = SqliteState(tmp_path)
    sessions = Sessions(engine, lambda: NOON)
    provisioner = make_provisioner(engine, state, lambda: NOON, roles=store)
    item = RoleItem(store, provisioner, sessions, web_address)
    doorkeeper = Doorkeeper(keys, lambda: NOON)
    app = falcon.App(middleware=[Context(doorkeeper, Trail(make_recorder(tmp_path)))])
    problems.install(app)
    app.add_route(PATH, RoleCollection(store, provisioner, web_address))
    app.add_route(PATH + "/{role_id}", item)
    app.add_route(PATH + "/{role_id}/suspend", item, suffix="suspend")
    app.add_route(PATH + "/{role_id}/resume", item, suffix="resume")
    yield app
    doorkeeper.close()


def client(app: Any, keys: ApiKeyStore, *scopes: str, roles: tuple[str, ...] = ()) -> Any:
    _, secret = keys.create(f"key {scopes} {roles}", frozenset(scopes), roles)
    return falcon.testing.TestClient(app, headers={"X-Scopebound-API-Key": secret})


@pytest.fixture
def http(app: Any, keys: ApiKeyStore) -> Any:
    return client(app, keys, "roles")


def create(http: Any, **fields: Any) -> dict[str, Any]:
    answer = http.simulate_post(PATH, json=fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_the_reference_request_gets_the_reference_response(http: Any) -> None:
    base = create(http, name="base-agent")
    answer = http.simulate_post(PATH, json=REFERENCE)
    role = answer.json

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{PATH}/{role['id']}"
    assert answer.headers["Content-Type"].startswith("application/json")
    sent = {name for name in REFERENCE if name not in ("webhook_secret", "parent_role_id")}
    assert {name: role[name] for name in sent} == {name: REFERENCE[name] for name in sent}
    assert role["parent_role_id"] == base["id"]
    assert role["default_ttl"] == 3600
    assert role["webhook_secret_hint"] == "your-hma***"
    assert "webhook_secret" not in role
    assert role["created_at"] == role["updated_at"] == "2026-04-29T12:00:01Z"
    assert len(role["warnings"]) == 1


def test_a_role_is_read_by_id_by_name_and_in_the_list(http: Any) -> None:
    created = create(http, name="a role & more")
    created.pop("warnings")

    assert http.simulate_get(f"{PATH}/{created['id']}").json == created
    assert http.simulate_get(f"{PATH}/{created['id'].upper()}").json == created
    assert http.simulate_get(PATH, params={"name": "a role & more"}).json == created
    assert http.simulate_get(PATH).json == {"count": 1, "roles": [created]}


def test_a_change_replaces_what_it_names(http: Any) -> None:
    create(http, name="base-agent")
    before = create(http, **REFERENCE)
    answer = http.simulate_put(f"{PATH}/{before['id']}", json={"max_rows": 0, "allowed_days": []})

    assert answer.status_code == 200
    changed = {"data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 0}}
    assert answer.json == before | changed | {
        "allowed_days": [],
        "updated_at": answer.json["updated_at"],
        "sessions_with_former_claims": 0,
    }
    assert answer.json["updated_at"] > before["updated_at"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", PATH, {"name": "twin"}, 409, None),
        ("POST", PATH, {"name": "a", "allowed_tool": []}, 400, "allowed_tool"),
        ("POST", PATH, [], 400, None),
        ("POST", PATH, {"name": "a", "parent_role_id": "nobody"}, 400, "parent_role_id"),
        ("POST", PATH + "?dry_run=1", {"name": "a"}, 400, "dry_run"),
        ("GET", PATH + "?role=a", None, 400, "role"),
        ("GET", PATH + "?name=", None, 400, "name"),
        ("GET", PATH + "?name=a&name=b", None, 400, "name"),
        ("GET", PATH + "?name=nobody", None, 404, None),
        ("GET", f"{PATH}/{NOWHERE}", None, 404, None),
        ("GET", f"{PATH}/{NOWHERE}?name=a", None, 400, "name"),
        ("GET", PATH + "/twin", None, 404, None),
        ("PUT", f"{PATH}/{NOWHERE}", {}, 404, None),
        ("PUT", PATH + "/twin", {}, 404, None),
        ("PUT", f"{PATH}/{NOWHERE}?force=1", {}, 400, "force"),
        ("DELETE", f"{PATH}/{NOWHERE}", None, 404, None),
        ("DELETE", f"{PATH}/{NOWHERE}?cascade=1", None, 400, "cascade"),
        ("DELETE", PATH + "/twin", None, 404, None),
        ("DELETE", PATH, None, 405, None),
        ("POST", f"{PATH}/{NOWHERE}/suspend", None, 404, None),
        ("POST", f"{PATH}/{NOWHERE}/resume", None, 404, None),
        ("POST", PATH + "/twin/suspend", None, 404, None),
        ("POST", f"{PATH}/{NOWHERE}/suspend?reason=x", None, 400, "reason"),
        ("POST", f"{PATH}/{NOWHERE}/suspend", {"reason": 5}, 400, "reason"),
        ("POST", f"{PATH}/{NOWHERE}/suspend", {"reason": "a\nb"}, 400, "reason"),
        ("POST", f"{PATH}/{NOWHERE}/resume", {"because": "x"}, 400, "because"),
        ("POST", f"{PATH}/{NOWHERE}/resume", [], 400, None),
        ("GET", f"{PATH}/{NOWHERE}/suspend", None, 405, None),
    ],
)
def test_a_mistake_is_a_problem_that_names_its_field(
    http: Any, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    create(http, name="twin")
    answer = http.simulate_request(method, path, json=body)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json.get("field") == field
    assert answer.json["detail"]


def test_a_new_name_or_a_circle_is_no_change(http: Any) -> None:
    role = create(http, name="a")
    for change in ({"name": "b"}, {"parent_role_id": "a"}, {"default_ttl": 5}):
        assert http.simulate_put(f"{PATH}/{role['id']}", json=change).status_code == 400
    assert http.simulate_get(f"{PATH}/{role['id']}").json["updated_at"] == role["updated_at"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", ""), (b"{}", ""), (b'{"reason":""}', ""), (b'{"reason":"key leaked"}', "key leaked")],
)
def test_a_role_is_suspended_and_resumed(http: Any, body: bytes, reason: str) -> None:
    role = create(http, name="a")
    role.pop("warnings")
    suspended = http.simulate_post(f"{PATH}/{role['id']}/suspend", body=body)

    assert suspended.status_code == 200
    assert suspended.json == role | {
        "suspended": True,
        "suspended_reason": reason,
        "updated_at": suspended.json["updated_at"],
    }
    assert http.simulate_get(f"{PATH}/{role['id']}").json == suspended.json
    resumed = http.simulate_post(f"{PATH}/{role['id'].upper()}/resume", body=body)
    assert resumed.status_code == 200
    assert resumed.json == role | {"updated_at": resumed.json["updated_at"]}
    assert role["suspended"] is False
    assert role["suspended_reason"] is None


def test_a_suspension_that_is_not_json_changes_nothing(http: Any) -> None:
    role = create(http, name="a")
    assert http.simulate_post(f"{PATH}/{role['id']}/suspend", body=b"{").status_code == 400
    assert http.simulate_get(f"{PATH}/{role['id']}").json["suspended"] is False


def test_a_role_is_deleted_unless_it_has_children(http: Any) -> None:
    parent = create(http, name="parent")
    child = create(http, name="child", parent_role_id="parent")
    refused = http.simulate_delete(f"{PATH}/{parent['id']}")
    assert refused.status_code == 409
    assert "'child'" in refused.json["detail"]
    for role in (child, parent):
        deleted = http.simulate_delete(f"{PATH}/{role['id']}")
        assert deleted.status_code == 200
        assert deleted.json == {"deleted": True, "id": role["id"], "name": role["name"]}
        assert http.simulate_get(f"{PATH}/{role['id']}").status_code == 404
    assert http.simulate_get(PATH).json == {"count": 0, "roles": []}


def test_names_are_case_sensitive(http: Any) -> None:
    lower, upper = create(http, name="role"), create(http, name="Role")
    assert http.simulate_get(f"{PATH}?name=role").json["id"] == lower["id"]
    assert http.simulate_get(f"{PATH}?name=Role").json["id"] == upper["id"]
    assert http.simulate_get(f"{PATH}?name=ROLE").status_code == 404


LONG = {
    "allowed_tools": {"allowed_tools": [f"tool-{n}-{'x' * 200}" for n in range(100)]},
    "parameter_constraints": {
        "parameter_constraints": {
            "pay": [{"field": "to", "operator": "in", "value": ["x" * 100] * 200}]
        }
    },
    "data_scope": {"allowed_envs": ["x" * 250 + str(n) for n in range(100)]},
    "approval_required": {"approval_required": ["x" * 250 + str(n) for n in range(100)]},
}


@pytest.mark.parametrize("field", LONG)
def test_a_role_whose_token_would_not_fit_is_neither_created_nor_changed(
    http: Any, field: str
) -> None:
    refused = http.simulate_post(PATH, json={"name": "big"} | LONG[field])
    assert (refused.status_code, refused.json["field"]) == (400, field)
    assert "16384" in refused.json["detail"]
    small = create(http, name="small")
    refused = http.simulate_put(f"{PATH}/{small['id']}", json=LONG[field])
    assert (refused.status_code, refused.json["field"]) == (400, field)
    kept = http.simulate_get(PATH).json
    assert [role["name"] for role in kept["roles"]] == ["small"]
    assert http.simulate_put(f"{PATH}/{small['id']}", json={}).status_code == 200


def test_a_role_whose_token_would_not_fit_with_its_parents_tools_is_refused(http: Any) -> None:
    half = [f"tool-{n}-{'x' * 200}" for n in range(30)]
    create(http, name="parent", allowed_tools=half)
    child = create(http, name="child", allowed_tools=[tool.upper() for tool in half])
    refused = http.simulate_put(f"{PATH}/{child['id']}", json={"parent_role_id": "parent"})
    assert (refused.status_code, refused.json["field"]) == (400, "allowed_tools")
    assert http.simulate_get(f"{PATH}/{child['id']}").json["parent_role_id"] == ""


def test_a_change_is_warned_of_what_it_inherits(http: Any) -> None:
    rule = {"field": "to", "operator": "regex", "value": "^a$"}
    create(http, name="parent", allowed_tools=["mail"], parameter_constraints={"mail": [rule]})
    child = create(http, name="child", parent_role_id="parent")
    other = {"mail": [rule | {"value": "^b$"}]}
    answer = http.simulate_put(f"{PATH}/{child['id']}", json={"parameter_constraints": other})

    assert child["warnings"] == []
    assert "match all at once" in answer.json["warnings"][0]


def test_a_key_that_only_enforces_reads_id_and_name_of_its_roles(
    app: Any, keys: ApiKeyStore, http: Any
) -> None:
    mine, other = create(http, name="mine"), create(http, name="other")
    shown = {"id": mine["id"], "name": "mine"}
    for reference in ("mine", mine["id"]):
        agent = client(app, keys, "enforce", roles=(reference,))
        assert agent.simulate_get(PATH).json == {"count": 1, "roles": [shown]}
        assert agent.simulate_get(f"{PATH}?name=mine").json == shown
        assert agent.simulate_get(f"{PATH}/{mine['id']}").json == shown
        assert agent.simulate_get(f"{PATH}?name=other").status_code == 404
        assert agent.simulate_get(f"{PATH}/{other['id']}").status_code == 404
    assert client(app, keys, "enforce").simulate_get(PATH).json["count"] == 2


@pytest.mark.parametrize(
    ("scope", "reads", "creates", "changes"),
    [
        ("roles", 200, 201, 200),
        ("admin", 200, 201, 200),
        ("enforce", 200, 403, 403),
        ("audit", 403, 403, 403),
        ("bundles", 403, 403, 403),
    ],
)
def test_only_a_key_for_roles_may_change_them(
    engine: Engine, app: Any, keys: ApiKeyStore, scope: str, reads: int, creates: int, changes: int
) -> None:
    role = RoleStore(engine, lambda: NOON).create(parse(RoleFields, {"name": "a"}))
    http = client(app, keys, scope)

    assert http.simulate_get(PATH).status_code == reads
    assert http.simulate_post(PATH, json={"name": "b"}).status_code == creates
    assert http.simulate_put(f"{PATH}/{role.id}", json={}).status_code == changes
    assert http.simulate_post(f"{PATH}/{role.id}/suspend").status_code == changes
    assert http.simulate_post(f"{PATH}/{role.id}/resume").status_code == changes
    assert http.simulate_delete(f"{PATH}/{role.id}").status_code == changes


def test_without_a_key_nothing_is_answered(app: Any) -> None:
    assert falcon.testing.TestClient(app).simulate_get(PATH).status_code == 401


def test_the_published_client_manages_roles(app: Any, keys: ApiKeyStore) -> None:
    _, secret = keys.create("sdk", frozenset({"roles"}))
    sdk = ScopeboundSDK(base_url="http://engine", api_key=secret)
    sdk._client = httpx.Client(
        base_url="http://engine",
        transport=httpx.WSGITransport(app),
        headers={"X-Scopebound-API-Key": secret},
    )
    role = sdk.create_role(**filesystem_role_template("fs", ["/data/**"]))

    assert sdk.get_role("fs")["id"] == role["id"] == sdk.get_role(role["id"])["id"]
    assert [listed["name"] for listed in sdk.list_roles()] == ["fs"]
    assert sdk.update_role("fs", default_ttl_seconds=900)["default_ttl"] == 900
    assert sdk.update_role("fs", max_rows=5)["data_scope"]["max_rows"] == 5
