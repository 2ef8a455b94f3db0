"""Changes and refusals in the decision log: one record of each, before the answer, or no change."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
from structlog.testing import capture_logs

from scopebound_engine.access.attempts import MOST
from scopebound_engine.api.app import create_app
from scopebound_engine.database.engine import open_database
from scopebound_engine.errors import JournalError
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.recorder import Recorder
from scopebound_engine.masking import Masks
from scopebound_engine.times import moment
from tests.api.bundle_api import NOBODY, BundleApi, bundle_api, problem
from tests.description import DESCRIBED
from tests.recording import MASK_KEY, NODE, Record, lines_of, records_of
from tests.servers import API_KEY
from tests.webhook.delivering import store_dead_letter

CHANGING = {
    operation["operationId"]: (method.upper(), path)
    for path, method, operation in DESCRIBED
    if method != "get"
}
ROLES, KEYS, PROVISION = "/mgmt/v1/roles", "/mgmt/v1/api-keys", "/v1/provision"
WEBHOOK_SECRET = "a-secret-of-a-webhook"
DECISIONS = {"enforce", "enforceMcp"}

Result = falcon.testing.Result
Client = falcon.testing.TestClient


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundleApi]:
    with bundle_api(tmp_path_factory.mktemp("audit"), None) as made:
        yield made


@dataclass
class Asked:
    """What is sent, and the events that its answer leaves, in their order."""

    events: tuple[str, ...]
    ids: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)


def created(api: BundleApi, path: str, **fields: Any) -> dict[str, Any]:
    body = {"name": f"n-{api.next_version()}", **fields}
    answer = api.http.simulate_post(path, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def role(api: BundleApi, **fields: Any) -> dict[str, Any]:
    return created(api, ROLES, **fields)


def session(api: BundleApi) -> dict[str, Any]:
    answer = api.http.simulate_post(PROVISION, json={"role_id": role(api)["id"]})
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def on_role(event: str, **sent: Any) -> Callable[[BundleApi], Asked]:
    return lambda api: Asked((event,), {"role_id": role(api)["id"]}, sent)


def on_session(event: str) -> Callable[[BundleApi], Asked]:
    return lambda api: Asked((event,), {"session_id": session(api)["session_id"]})


def revoke_sessions_of_role(api: BundleApi) -> Asked:
    role_id = role(api)["id"]
    assert api.http.simulate_post(PROVISION, json={"role_id": role_id}).status_code == 200
    return Asked(("role.sessions_revoked",), {"role_id": role_id})


def create_role(api: BundleApi) -> Asked:
    return Asked(("role.created",), sent={"json": {"name": f"n-{api.next_version()}"}})


def create_key(api: BundleApi) -> Asked:
    body = {"name": f"n-{api.next_version()}", "scopes": ["enforce"]}
    return Asked(("api_key.created",), sent={"json": body})


def revoke_key(api: BundleApi) -> Asked:
    return Asked(("api_key.revoked",), {"key_id": created(api, KEYS, scopes=["audit"])["id"]})


def provision(api: BundleApi) -> Asked:
    return Asked(("session.provisioned",), sent={"json": {"role_id": role(api)["id"]}})


def call(event: str) -> Callable[[BundleApi], Asked]:
    body = {"jwt": "none", "tool_name": "read", "call_args": {}}
    return lambda _: Asked((event,), sent={"json": body})


def upload(api: BundleApi) -> Asked:
    return Asked(("bundle.uploaded", "bundle.activated"), sent={"body": api.bundle()})


def activate(api: BundleApi) -> Asked:
    stored = api.uploaded(query="activate=false")
    return Asked(("bundle.activated",), {"bundle_id": stored["id"]})


def roll_back(api: BundleApi) -> Asked:
    former = api.uploaded()
    api.uploaded()
    return Asked(("bundle.rolled_back",), {"bundle_id": former["id"]})


def delete_bundle(api: BundleApi) -> Asked:
    stored = api.uploaded(query="activate=false")
    return Asked(("bundle.deleted",), {"bundle_id": stored["id"]})


def backtest_bundle(api: BundleApi) -> Asked:
    stored = api.uploaded(query="activate=false")
    return Asked(("bundle.backtested",), {"bundle_id": stored["id"]})


def webhook_test(api: BundleApi) -> Asked:
    # A name that leads nowhere but here, where no webhook may go.
    role_id = role(api, webhook_url="https://localhost/")["id"]
    return Asked(("role.webhook_tested",), {"role_id": role_id})


def retry_dead_letter(api: BundleApi) -> Asked:
    webhook_id = f"webhook-{api.next_version()}"
    engine = open_database(None, api.data_dir)
    store_dead_letter(engine, webhook_id, NOBODY)
    engine.dispose()
    return Asked(("webhook.retried",), {"webhook_id": webhook_id})


# Each operation that is no GET. A new one has its case here, and leaves its record.
CASES: dict[str, Callable[[BundleApi], Asked]] = {
    "provision": provision,
    "enforce": call("tool_call.deny"),
    "enforceMcp": call("mcp_tool_call.deny"),
    "revokeSession": on_session("session.revoked"),
    "clearDrift": on_session("session.drift_cleared"),
    "createRole": create_role,
    "updateRole": on_role("role.updated", json={"description": "changed"}),
    "suspendRole": on_role("role.suspended", json={"reason": "why"}),
    "resumeRole": on_role("role.resumed"),
    "revokeSessionsOfRole": revoke_sessions_of_role,
    "deleteRole": on_role("role.deleted"),
    "testWebhook": webhook_test,
    "retryDeadLetter": retry_dead_letter,
    "uploadBundle": upload,
    "activateBundle": activate,
    "rollbackBundle": roll_back,
    "deleteBundle": delete_bundle,
    "backtestBundle": backtest_bundle,
    "createApiKey": create_key,
    "revokeApiKey": revoke_key,
}


def sent(http: Client, name: str, asked: Asked) -> Result:
    method, path = CHANGING[name]
    return http.simulate_request(method, path.format(**asked.ids), **asked.sent)


def records(api: BundleApi, answer: Result) -> list[Record]:
    """What stands in the log of the request of an answer."""
    return [
        record
        for record in records_of(api.data_dir)
        if record.get("request", {}).get("id") == answer.headers["x-request-id"]
        and record["event"] != "bundle.pruned"  # by the upload that is one too many
    ]


def only_record(api: BundleApi, answer: Result) -> Record:
    (record,) = records(api, answer)
    return record


def broken(api: BundleApi, journal: Journal) -> Client:
    """A client of the same service, where records go to another journal."""
    recorder = Recorder(
        journal, Masks(MASK_KEY, ()), node=NODE, clock=lambda: 0.0, skew_ms=lambda: None
    )
    app = create_app(replace(api.services, recorder=recorder))
    return Client(app, headers={"X-Scopebound-API-Key": API_KEY})


class Choking(Journal):
    """Says that it could write, and cannot."""

    def check(self, deadline: float | None = None) -> None:
        """All seems well."""

    def append(self, record: bytes, deadline: float | None = None) -> int:
        """Nothing is written."""
        raise JournalError("the disk is full")


def state(api: BundleApi) -> Any:
    """What changes change."""
    services = api.services
    keys = [(key.id, key.revoked_at) for key in services.api_keys.list()]
    roles = services.roles.list()
    live = services.sessions.count_former([role.id for role in roles], moment(time.time() + 60))
    return keys, roles, live, api.get(), api.events()


def test_every_operation_that_is_no_get_has_a_case() -> None:
    assert CASES.keys() == CHANGING.keys()


@pytest.mark.parametrize("name", CHANGING)
def test_an_operation_leaves_its_record_with_who_asked_and_from_where(
    api: BundleApi, name: str
) -> None:
    asked = CASES[name](api)
    answer = sent(api.http, name, asked)
    assert answer.status_code < 300, answer.text
    found = records(api, answer)
    assert tuple(record["event"] for record in found) == asked.events
    key = api.services.api_keys.authenticate(API_KEY)
    for record in found:
        assert record["request"]["peer"] == "127.0.0.1"
        assert record["request"]["status"] == answer.status_code
        assert record["request"]["api_key_id"] == key.id
        if name not in DECISIONS:
            assert record["actor"] == {"api_key_id": key.id, "name": key.name}
        if name not in DECISIONS | {"provision"}:
            assert record["subject"]["id"] in asked.ids.values() or not asked.ids
            assert isinstance(record["details"], dict)


@pytest.mark.parametrize("name", [name for name in CHANGING if name not in DECISIONS])
def test_where_the_log_cannot_be_written_nothing_is_changed(
    api: BundleApi, name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    asked = CASES[name](api)
    before = state(api)
    answer = sent(broken(api, Journal(tmp_path / "file" / "log", NODE)), name, asked)
    problem(answer, 503, "unrecorded")
    assert state(api) == before


def test_a_change_that_could_not_be_recorded_says_that_it_took_effect(
    api: BundleApi, tmp_path: Path
) -> None:
    http, made = broken(api, Choking(tmp_path, NODE)), role(api)
    with capture_logs() as logged:
        answer = http.simulate_post(f"{ROLES}/{made['id']}/suspend")
    told = problem(answer, 503, "done-unrecorded")
    assert f"role.suspended of role {made['id']} took effect" in told["detail"]
    assert "the disk is full" in told["detail"]
    assert api.services.roles.get(made["id"]).suspended_reason is not None
    (critical,) = [entry for entry in logged if entry["log_level"] == "critical"]
    assert critical["event_type"] == "role.suspended"
    assert critical["request_id"] == answer.headers["x-request-id"]


def test_a_bundle_that_could_not_be_recorded_as_uploaded_is_not_activated(
    api: BundleApi, tmp_path: Path
) -> None:
    http, before = broken(api, Choking(tmp_path, NODE)), api.active()
    answer = http.simulate_post("/mgmt/v1/bundles/upload", body=api.bundle())
    assert "bundle.uploaded" in problem(answer, 503, "done-unrecorded")["detail"]
    assert api.active() == before


def test_a_refused_bundle_stays_refused_where_that_cannot_be_recorded(
    api: BundleApi, tmp_path: Path
) -> None:
    http = broken(api, Choking(tmp_path, NODE))
    problem(http.simulate_post("/mgmt/v1/bundles/upload", body=b"no bundle"), 422, "bundle-refused")


def test_a_role_is_recorded_with_the_fields_that_changed_and_without_its_secret(
    api: BundleApi,
) -> None:
    made = role(api, allowed_tools=["read"], webhook_secret=WEBHOOK_SECRET)
    changes = {
        "allowed_tools": ["read", "write"],
        "webhook_secret": f"{WEBHOOK_SECRET}-too",
        "webhook_url": "https://hooks.example.com/services/secret-path?token=1",
        "max_delegation_depth": 0,
    }
    updated = api.http.simulate_put(f"{ROLES}/{made['id']}", json=changes)
    record = only_record(api, updated)
    assert record["details"] == {
        "changes": {
            "allowed_tools": {"from": ["read"], "to": ["read", "write"]},
            "webhook_secret": "changed",
            "webhook_url": {"from": "", "to": "https://hooks.example.com/…"},
        }
    }
    assert record["role"] == {"id": made["id"], "name": made["name"], "revision": 2}
    (creation,) = [
        each
        for each in records_of(api.data_dir)
        if each["event"] == "role.created" and each["subject"]["id"] == made["id"]
    ]
    assert creation["details"]["fields"] == {
        "name": made["name"],
        "allowed_tools": ["read"],
        "webhook_secret": "set",
    }
    gone = only_record(api, api.http.simulate_delete(f"{ROLES}/{made['id']}"))
    assert gone["details"]["fields"]["allowed_tools"] == ["read", "write"]


def test_a_revocation_names_its_session_and_why(api: BundleApi) -> None:
    made = session(api)
    answer = api.http.simulate_delete(f"/v1/sessions/{made['session_id']}?reason=stop")
    record = only_record(api, answer)
    assert record["subject"] == {"type": "session", "id": made["session_id"]}
    assert record["session"]["id"] == made["session_id"]
    assert record["role"]["revision"] == 1
    assert record["details"] == {"reason": "stop", "sessions_ended": 1}


def test_an_activation_is_recorded_with_what_it_replaced(api: BundleApi) -> None:
    former, data = api.uploaded(), api.bundle()
    stored, activated = records(api, api.upload(data))
    for record in (stored, activated):
        assert record["details"]["checksum"] == hashlib.sha256(data).hexdigest()
        assert record["details"]["key_id"] == api.key.key_id
    assert "generation" not in stored["details"]
    assert activated["details"]["from_bundle_id"] == former["id"]
    assert activated["details"]["from_generation"] == former["generation"]
    assert activated["details"]["generation"] == former["generation"] + 1


def test_a_refused_bundle_is_recorded_with_its_findings(api: BundleApi) -> None:
    record = only_record(api, api.upload(b"no bundle"))
    assert record["event"] == "bundle.refused"
    assert record["details"]["checksum"] == hashlib.sha256(b"no bundle").hexdigest()
    assert record["details"]["findings"]
    assert all("\n" not in line for line in record["details"]["findings"])
    assert "status" not in record["request"]


def test_a_bundle_that_is_only_tried_changes_nothing_and_leaves_no_record(api: BundleApi) -> None:
    answer = api.upload(api.bundle(), "dry_run=true")
    assert answer.status_code == 200
    assert records(api, answer) == []


def test_refusals_of_known_callers_are_recorded_with_the_digest_of_what_they_sent(
    api: BundleApi,
) -> None:
    body = b'{"name": 5}'
    unfit = api.http.simulate_post(ROLES, body=body)
    record = only_record(api, unfit)
    assert (record["event"], record["request"]["status"]) == ("request.refused", 400)
    assert record["body"] == {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    assert record["details"]["problem"] == "invalid-request"
    assert record["details"]["detail"] == unfit.json["detail"]
    assert record["actor"]["api_key_id"] == record["request"]["api_key_id"]

    forbidden = api.with_scopes("audit").simulate_post(ROLES, json={"name": "x"})
    record = only_record(api, forbidden)
    assert (record["request"]["status"], record["details"]["problem"]) == (403, "forbidden")
    assert record["actor"]["name"].startswith("audit-")


@pytest.mark.parametrize("path", ["/v1/enforce", "/v1/mcp/enforce"])
def test_a_call_without_a_token_is_a_refused_request(api: BundleApi, path: str) -> None:
    record = only_record(api, api.http.simulate_post(path, json={"tool_name": "read"}))
    assert (record["event"], record["request"]["status"]) == ("request.refused", 400)
    assert record["body"]["bytes"] > 0


def test_every_refusal_of_a_session_is_recorded(api: BundleApi) -> None:
    answer = api.http.simulate_post(PROVISION, json={"role_id": "ghost"})
    record = only_record(api, answer)
    assert (record["event"], record["request"]["status"]) == ("request.refused", 404)
    # What is not there elsewhere is nobody's attempt at anything.
    assert records(api, api.http.simulate_get(f"{ROLES}?name=ghost")) == []


def test_strangers_are_recorded_but_cannot_fill_the_disk(api: BundleApi) -> None:
    stranger, address = api.client(""), "192.0.2.7"
    answers = [stranger.simulate_post(ROLES, json={}, remote_addr=address) for _ in range(MOST + 5)]
    assert {answer.status_code for answer in answers} == {401}
    found = [records(api, answer) for answer in answers]
    assert [len(each) for each in found] == [1] * MOST + [0] * 5
    assert found[0][0]["request"]["peer"] == address
    assert "actor" not in found[0][0]
    assert len(records(api, stranger.simulate_get(ROLES, remote_addr="192.0.2.8"))) == 1


def test_too_many_wrong_keys_are_not_recorded(api: BundleApi) -> None:
    wrong = api.client("sb-nobodys-key-of-all-keys")
    answers = [wrong.simulate_get(ROLES, remote_addr="192.0.2.9") for _ in range(MOST + 1)]
    assert [answer.status_code for answer in answers] == [401] * MOST + [429]
    assert [len(records(api, answer)) for answer in answers] == [1] * MOST + [0]


def test_no_secret_is_written(api: BundleApi) -> None:
    made, key = session(api), created(api, KEYS, scopes=["enforce"])
    role(api, webhook_secret=WEBHOOK_SECRET)
    secret = key["api_key"]
    # In fields and paths where they do not belong.
    api.http.simulate_post(PROVISION, json={"role_id": made["jwt"]})
    api.http.simulate_post(PROVISION, json={"role_id": "r", "parent_session_id": made["jwt"]})
    api.http.simulate_post(ROLES, json={"name": "x", secret: secret, made["jwt"]: 1})
    api.http.simulate_post(f"{ROLES}/{made['session_id']}/suspend?{secret}=1")
    api.client("").simulate_delete(f"{KEYS}/{secret}", remote_addr="192.0.2.10")
    api.client("").simulate_get(f"/v1/sessions/{made['jwt']}", remote_addr="192.0.2.10")
    api.client(made["jwt"]).simulate_get(ROLES, remote_addr="192.0.2.10")
    api.http.simulate_delete(f"{KEYS}/{key['id']}")
    written = b"\n".join(lines_of(api.data_dir)).decode()
    assert written.count("[left out]") >= 5
    for hidden in (secret, API_KEY, WEBHOOK_SECRET, made["jwt"], *made["jwt"].split(".")):
        assert hidden not in written
