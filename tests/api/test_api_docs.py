"""The description as a page for people."""

import base64
import hashlib
import json
from html.parser import HTMLParser

import falcon
import falcon.testing
import pytest

from scopebound_engine import strict_json
from scopebound_engine.api.docs import PAGE_HEADERS, page
from scopebound_engine.api.openapi import HTML, JSON
from scopebound_engine.api.published import Published
from tests.description import DESCRIBED, DOCUMENT


@pytest.fixture(scope="module")
def http() -> falcon.testing.TestClient:
    app = falcon.App()
    app.add_route("/openapi.json", Published(lambda: strict_json.dumps(DOCUMENT), JSON))
    app.add_route("/docs", Published(lambda: page(DOCUMENT), HTML, PAGE_HEADERS))
    return falcon.testing.TestClient(app)


class Outline(HTMLParser):
    """Which elements are open, and every attribute that could lead somewhere."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name not in ("lang", "charset", "name", "content", "class"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_well_formed_has_no_outside_address_and_names_every_operation(
    http: falcon.testing.TestClient,
) -> None:
    answer = http.simulate_get("/docs")
    assert answer.status_code == 200
    outline = Outline()
    outline.feed(answer.text)
    outline.close()
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert outline.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    for address in outline.addresses:
        assert address == "/openapi.json" or address.removeprefix("#") in outline.ids
    assert "@import" not in answer.text
    assert "url(" not in answer.text
    for path, method, operation in DESCRIBED:
        assert operation["operationId"] in outline.ids
        assert f"{method.upper()} {path}" in outline.text
    for name in DOCUMENT["components"]["schemas"]:
        assert f"schema-{name}" in outline.ids


def test_the_pages_style_is_the_one_its_policy_lets_in(http: falcon.testing.TestClient) -> None:
    answer = http.simulate_get("/docs")
    policy = answer.headers["content-security-policy"]
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_the_page_escapes_what_it_shows() -> None:
    hostile = "</pre><script>alert(`1`)</script>\"'&"
    tampered = json.loads(
        json.dumps(DOCUMENT).replace("invoice-processor", json.dumps(hostile)[1:-1])
    )
    tampered["tags"][0]["description"] = tampered["info"]["title"] = hostile
    outline = Outline()
    outline.feed(page(tampered).decode())
    assert outline.open == []
    assert "script" not in outline.tags
    assert hostile in outline.text


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_a_description_that_is_known_is_not_sent_again(
    http: falcon.testing.TestClient, path: str
) -> None:
    first = http.simulate_get(path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = http.simulate_get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = http.simulate_get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
