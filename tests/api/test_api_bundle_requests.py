"""A request of the bundle API that is unfit, of no version or of nobody is refused by name."""

import pytest
from bundle_api import NOBODY, ROOT, BundleApi, nothing_changes, problem


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("descripton=x", "descripton"),
        ("activate=yes", "activate"),
        ("activate=True", "activate"),
        ("activate=", "activate"),
        ("dry_run=1", "dry_run"),
        ("dry_run=true&dry_run=false", "dry_run"),
        ("acknowledge_floor=no", "acknowledge_floor"),
        (f"description={'x' * 501}", "description"),
        ("description=a%0Ab", "description"),
        ("description=a%00b", "description"),
        ("description=%E2%80%AEevil", "description"),
        ("description=a&description=b", "description"),
    ],
)
def test_an_unfit_query_of_an_upload_names_the_parameter(
    api: BundleApi, query: str, field: str
) -> None:
    with nothing_changes(api):
        assert problem(api.upload(b"junk", query), 400, "invalid-request")["field"] == field


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("", "page=2", "page"),
        ("/events", "limit=0", "limit"),
        ("/events", "limit=1001", "limit"),
        ("/events", "limit=ten", "limit"),
        ("/events", "limit=1&limit=2", "limit"),
        ("/events", "before=-1", "before"),
        ("/events", "before=99999999999999999999", "before"),
        ("/events", "before=%D9%A1", "before"),
        ("/events", "after=1", "after"),
        (f"/{NOBODY}", "verbose=true", "verbose"),
        (f"/{NOBODY}/download", "raw=1", "raw"),
    ],
)
def test_an_unfit_query_names_the_parameter(
    api: BundleApi, path: str, query: str, field: str
) -> None:
    answer = api.http.simulate_get(f"{ROOT}{path}", query_string=query)
    assert problem(answer, 400, "invalid-request")["field"] == field


@pytest.mark.parametrize(
    ("query", "body", "field"),
    [
        ("why=x", b"", "why"),
        (f"reason={'x' * 501}", b"", "reason"),
        ("reason=a%0Ab", b"", "reason"),
        ("", b'{"reason": "a\\nb"}', "reason"),
        ("", b'{"reason": 7}', "reason"),
        ("", b'{"why": "x"}', "why"),
        ("", b"[]", ""),
        ("", b"{", ""),
        ("reason=a", b'{"reason": "b"}', "reason"),
    ],
)
def test_an_unfit_reason_of_a_rollback_is_named(
    api: BundleApi, query: str, body: bytes, field: str
) -> None:
    with nothing_changes(api):
        answer = api.rollback(NOBODY, query_string=query, body=body)
        assert problem(answer, 400, "invalid-request").get("field", "") == field


@pytest.mark.parametrize("bundle_id", [NOBODY, "latest", "%00", "1", "..%2Froles"])
def test_a_version_that_is_not_there_is_404(api: BundleApi, bundle_id: str) -> None:
    active, path = api.active()["id"], f"{ROOT}/{bundle_id}"
    for answer in (
        api.http.simulate_get(path),
        api.http.simulate_get(f"{path}/download"),
        api.http.simulate_get(f"{path}/diff/{active}"),
        api.http.simulate_get(f"{ROOT}/{active}/diff/{bundle_id}"),
        api.http.simulate_post(f"{path}/activate"),
        api.http.simulate_delete(path),
        api.rollback(bundle_id),
    ):
        problem(answer, 404, "not-found")


def test_without_a_key_nothing_is_read_or_changed(api: BundleApi) -> None:
    http = api.client("")
    with nothing_changes(api):
        for answer in (
            http.simulate_get(ROOT),
            http.simulate_post(f"{ROOT}/upload", body=api.bundle()),
            http.simulate_post(f"{ROOT}/rollback/{NOBODY}"),
        ):
            problem(answer, 401, "unauthenticated")
