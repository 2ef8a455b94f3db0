"""Webhooks as operators see them: tests of receivers, dead letters, and which URLs roles take."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from scopebound_engine import webhook
from scopebound_engine.database.engine import open_database
from tests.api.bundle_api import NOBODY, BundleApi, bundle_api, problem
from tests.recording import records_of
from tests.webhook.delivering import SECRET, store_dead_letter
from tests.webhook.receivers import Receiver, receiving

ROLES, LETTERS = "/mgmt/v1/roles", "/mgmt/v1/webhooks/dead-letters"
LOCAL = {"webhook_allow_http": True, "webhook_networks": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundleApi]:
    with bundle_api(tmp_path_factory.mktemp("webhooks"), None, **LOCAL) as made:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundleApi]:
    """One that allows what is allowed by default."""
    with bundle_api(tmp_path_factory.mktemp("strict"), None) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def engine(api: BundleApi) -> Iterator[Engine]:
    made = open_database(None, api.data_dir)
    yield made
    made.dispose()


def role(api: BundleApi, **fields: Any) -> dict[str, Any]:
    answer = api.http.simulate_post(ROLES, json={"name": f"r-{api.next_version()}", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_a_test_is_sent_signed_and_its_outcome_answered(api: BundleApi, receiver: Receiver) -> None:
    made = role(api, webhook_url=receiver.url(), webhook_secret=SECRET)
    path = f"{ROLES}/{made['id']}/webhook-test"
    answer = api.http.simulate_post(path).json
    (received,) = receiver.received
    assert (answer["delivered"], answer["status"], answer["problem"]) == (True, 204, None)
    assert answer["webhook_id"] == received.headers["webhook-id"]
    assert webhook.verify(SECRET, received.body, received.headers)
    assert (received.payload["event"], received.payload["role"]) == ("test", made["name"])
    receiver.status = 503
    failed = api.http.simulate_post(path).json
    assert (failed["delivered"], failed["status"]) == (False, 503)
    assert failed["problem"] == "it answered 503"
    record = records_of(api.data_dir)[-1]
    assert (record["event"], record["details"]) == ("role.webhook_tested", failed)


def test_a_role_without_receiver_has_nothing_to_test(api: BundleApi) -> None:
    made = role(api)
    answer = api.http.simulate_post(f"{ROLES}/{made['id']}/webhook-test")
    assert "has no webhook_url" in problem(answer, 409, "conflict")["detail"]
    problem(api.http.simulate_post(f"{ROLES}/{NOBODY}/webhook-test"), 404, "not-found")


def test_tests_reach_only_what_webhooks_may_reach(strict: BundleApi) -> None:
    made = role(strict, webhook_url="https://localhost/")
    answer = strict.http.simulate_post(f"{ROLES}/{made['id']}/webhook-test").json
    assert answer["status"] is None
    assert "which is not public" in answer["problem"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://hooks.example/", "SCOPEBOUND_WEBHOOK_ALLOW_HTTP"),
        ("https://user:password@hooks.example/", "user or a password"),
        ("https://169.254.169.254/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://hooks.example:99999/", "ort"),
        ("hooks.example", "URL"),
    ],
)
def test_a_role_is_not_given_a_receiver_that_cannot_be_one(
    strict: BundleApi, url: str, says: str
) -> None:
    body = {"name": f"r-{strict.next_version()}", "webhook_url": url}
    refused = problem(strict.http.simulate_post(ROLES, json=body), 400, "invalid-request")
    assert says in refused["detail"]
    path = f"{ROLES}/{role(strict)['id']}"
    changed = strict.http.simulate_put(path, json={"webhook_url": url})
    assert says in problem(changed, 400, "invalid-request")["detail"]
    assert strict.http.simulate_get(path).json["webhook_url"] == ""


def test_dead_letters_come_in_pages_the_newest_first(api: BundleApi, engine: Engine) -> None:
    for number in range(5):
        store_dead_letter(engine, f"page-{number}", NOBODY)
    http, cursor, seen = api.with_scopes("audit"), "", []
    while cursor is not None:
        query = f"limit=2&cursor={cursor}" if cursor else "limit=2"
        page = http.simulate_get(LETTERS, query_string=query).json
        assert page["count"] == len(page["dead_letters"])
        seen += [letter["webhook_id"] for letter in page["dead_letters"]]
        cursor = page["next"]
    assert seen == [f"page-{number}" for number in (4, 3, 2, 1, 0)]
    for query in ("limit=0", "cursor=x", "cursor=0", "page=1"):
        problem(http.simulate_get(LETTERS, query_string=query), 400, "invalid-request")


def test_a_dead_letter_waits_again_and_is_none_any_more(api: BundleApi, engine: Engine) -> None:
    store_dead_letter(engine, "again", NOBODY)
    answer = api.http.simulate_post(f"{LETTERS}/again/retry")
    assert answer.json == {"webhook_id": "again", "role_id": NOBODY, "retried": True}
    problem(api.http.simulate_post(f"{LETTERS}/again/retry"), 404, "not-found")


def test_scopes_are_asked_for(api: BundleApi) -> None:
    for scopes in (("audit",), ("enforce",), ("bundles",)):
        http = api.with_scopes(*scopes)
        problem(http.simulate_post(f"{ROLES}/{NOBODY}/webhook-test"), 403, "forbidden")
        problem(http.simulate_post(f"{LETTERS}/x/retry"), 403, "forbidden")
    problem(api.with_scopes("enforce").simulate_get(LETTERS), 403, "forbidden")
    assert api.with_scopes("roles").simulate_get(LETTERS).status_code == 200
