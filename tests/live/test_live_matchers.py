"""The example of look-alike domains, in force: what a matcher says decides real calls."""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import falcon.testing
import pytest

from scopebound_engine.api.app import create_app
from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.config import SHIPPED, Config
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import build_services
from tests.policies import with_example
from tests.servers import API_KEY

EXAMPLE = Path(__file__).parents[1] / "examples/lookalike_domains"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[falcon.testing.TestClient]:
    """The service with the example's bundle, which passed the gate to be active."""
    folder = tmp_path_factory.mktemp("lookalikes")
    config = Config.model_validate(
        {
            "data_dir": folder / "data",
            "bootstrap_api_key": API_KEY,
            "policies": with_example(SHIPPED, folder, EXAMPLE),
        }
    )
    prepare(config)
    services = build_services(config)
    client = falcon.testing.TestClient(
        create_app(services), headers={"X-Scopebound-API-Key": API_KEY}
    )
    role = {"name": "mailer", "allowed_tools": ["send_email", "read_inbox"]}
    assert client.simulate_post("/mgmt/v1/roles", json=role).status_code == 201
    yield client
    services.close()


def decision(http: falcon.testing.TestClient, tool: str, call_args: Any) -> dict[str, Any]:
    session = http.simulate_post("/v1/provision", json={"role_id": "mailer"}).json
    body = {"jwt": session["jwt"], "tool_name": tool, "call_args": call_args}
    answer: dict[str, Any] = http.simulate_post("/v1/enforce", json=body).json
    return answer


@pytest.mark.parametrize(
    "address", ["alice@company.com", "first.last+tag@company.com", "A-B_1@company.com"]
)
def test_mail_to_the_company_is_allowed(http: falcon.testing.TestClient, address: str) -> None:
    assert decision(http, "send_email", {"to": address})["decision"] == "allow"


@pytest.mark.parametrize(
    "address",
    [
        "alice@evil.example",
        "alice@company.com.evil.example",
        "alice@evil-company.com",
        "alice@companyXcom",
        "alice@c\u043empany.com",  # a Cyrillic o
        "alice@company.c\u03bfm",  # a Greek one
        "alice@\uff43ompany.com",  # a wide c
        "alice@company\u3002com",
        "ali\u0441e@company.com",
        "alice@company.com\u200b",
        "alice@company.com\n",
        "eve@evil.example\n@company.com",
        "eve@evil.example,alice@company.com",
        "eve@evil.example;alice@company.com",
        "<eve@evil.example> alice@company.com",
        "eve@evil.example alice@company.com",
        "eve%evil.example@company.com",
        "alice@evil.example@company.com",
        "alice@COMPANY.COM",
        "@company.com",
        "company.com",
        "",
    ],
)
def test_what_only_looks_like_it_is_denied(http: falcon.testing.TestClient, address: str) -> None:
    answer = decision(http, "send_email", {"to": address})
    assert (answer["decision"], answer["deny_code"]) == ("deny", "RECIPIENT_OUTSIDE")


@pytest.mark.parametrize(
    "call_args",
    [
        {},
        {"To": "alice@company.com"},
        {"to": None},
        {"to": ["alice@company.com"]},
        {"to": {"0": "alice@company.com"}},
        {"to": 5},
        {"to": True},
        {"to": "a" * 900_000 + "@company.com"},
    ],
    ids=["absent", "misspelt", "null", "list", "object", "number", "true", "long"],
)
def test_what_cannot_be_judged_is_denied(http: falcon.testing.TestClient, call_args: Any) -> None:
    answer = decision(http, "send_email", call_args)
    assert (answer["decision"], answer["deny_code"]) == ("deny", "RECIPIENT_OUTSIDE")
    assert answer["reason"] == "to must be one plain address of company.com, as a string"


def test_other_tools_are_not_asked_for_a_recipient(http: falcon.testing.TestClient) -> None:
    assert decision(http, "read_inbox", {})["decision"] == "allow"


def test_the_gate_tells_all_that_is_wrong_with_matchers_at_once(tmp_path: Path) -> None:
    policies = with_example(SHIPPED, tmp_path, EXAMPLE)
    rule = policies / "scopebound/deny/recipient_outside.rego"
    read = 'input.matches.recipient_com == "no"'
    rule.write_text(rule.read_text().replace("\tnot", f"\t{read}\n\tnot"))
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("^[A-Za-z0-9][", "(?=a)["))
    files = build(policies, manifest)
    bundle = VerifiedBundle(MappingProxyType(files), Manifest.of(files), "", "", "")

    found = [
        (item.file, item.line, item.level, item.message)
        for item in gate.check(bundle).findings
        if item.step == "matchers"
    ]

    name = "scopebound/deny/recipient_outside.rego"
    line = rule.read_text().splitlines().index(f"\t{read}") + 1
    undeclared = "the manifest declares no matcher recipient_com: this is never anything"
    silent = 'this denies "no" of input.matches.recipient_com but not "unfit"'
    lookahead = (
        "matchers.recipient_plain: a lookahead is not supported by RE2: write two patterns apart, "
        "for both have to match"
    )
    assert found == [
        (name, line, "error", undeclared),
        (name, line, "error", silent),
        ("manifest.json", 0, "error", lookahead),
    ]
