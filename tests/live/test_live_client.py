"""The published client, unmodified, against a real server with two workers."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from scopebound import ScopeboundSDK
from scopebound.exceptions import ScopeboundDenyError, ScopeboundUnavailableError

from tests.postgres import Databases
from tests.servers import API_KEY, RunningServer, serving


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgres_databases")
        settings["database_url"] = databases.url(databases.create())
    with serving(tmp_path_factory.mktemp("client") / "data", **settings) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["fail-closed", "fail-open"])
def sdk(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[ScopeboundSDK]:
    with ScopeboundSDK(server.url, fail_open=request.param, api_key=API_KEY) as client:
        yield client


@pytest.fixture
def new_role(sdk: ScopeboundSDK, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    def create(allowed_tools: list[str], **fields: Any) -> dict[str, Any]:
        name = f"{request.node.name}-{time.monotonic_ns()}"
        return sdk.create_role(name, allowed_tools, **fields)

    return create


def denied(call: Callable[[], None]) -> ScopeboundDenyError:
    with pytest.raises(ScopeboundDenyError) as caught:
        call()
    return caught.value


def test_a_role_is_created_read_by_name_and_uuid_listed_and_updated(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read_invoices"], description="reads", rate_limit_per_minute=30)
    assert sdk.get_role(role["name"]) == sdk.get_role(role["id"])
    assert role["name"] in [listed["name"] for listed in sdk.list_roles()]
    updated = sdk.update_role(role["name"], allowed_tools=["read_invoices", "send_email"])
    assert updated["allowed_tools"] == ["read_invoices", "send_email"]
    assert sdk.get_role(role["id"])["description"] == "reads"


def test_provision_takes_name_and_uuid(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"])
    assert sdk.provision(role["name"]).count(".") == 2
    assert sdk.provision(role["id"]).count(".") == 2


def test_an_unknown_role_and_a_wrong_key_are_told_as_the_troubleshooting_page_says(
    server: RunningServer,
) -> None:
    client = ScopeboundSDK(server.url, api_key=API_KEY)
    with pytest.raises(ScopeboundUnavailableError, match="404 Not Found"):
        client.provision("no-such-role")
    client = ScopeboundSDK(server.url, api_key="sb-wrong")
    with pytest.raises(ScopeboundUnavailableError, match="401 Unauthorized"):
        client.provision("no-such-role")


def test_an_allow_returns(sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]) -> None:
    role = new_role(["read_invoices"])
    assert sdk.enforce(role["name"], "read_invoices", {"status": "pending"}) is None
    assert sdk.mcp_enforce(role["name"], "read_invoices", {"status": "pending"}) is None


def test_scope_violation(sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]) -> None:
    role = new_role(["read_invoices"])
    denial = denied(lambda: sdk.enforce(role["name"], "delete_invoice"))
    assert (denial.deny_code, denial.severity) == ("SCOPE_VIOLATION", "medium")
    assert denial.retry_guidance == "none"
    assert denial.reason.startswith('tool "delete_invoice" is not in allowed_tools')


@pytest.mark.parametrize(
    ("constraint", "arguments"),
    [
        ({"field": "amount", "operator": "lt", "value": 50000}, {"amount": 50000}),
        ({"field": "amount", "operator": "lt", "value": 50000}, {"amount": "60000"}),
        ({"field": "status", "operator": "eq", "value": "pending"}, {"status": "paid"}),
        ({"field": "to", "operator": "regex", "value": r".*@company\.com$"}, {"to": "a@evil.com"}),
    ],
)
def test_parameter_violation(
    sdk: ScopeboundSDK,
    new_role: Callable[..., dict[str, Any]],
    constraint: dict[str, Any],
    arguments: dict[str, Any],
) -> None:
    role = new_role(["pay"], parameter_constraints={"pay": [constraint]})
    assert sdk.enforce(role["name"], "pay", {"unrelated": 1}) is None
    denial = denied(lambda: sdk.enforce(role["name"], "pay", arguments))
    assert (denial.deny_code, denial.severity) == ("PARAMETER_VIOLATION", "high")


def test_env_violation_and_data_limit(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"], allowed_envs=["staging"], max_rows=10)
    assert sdk.enforce(role["name"], "read", {"env": "staging", "limit": 10}) is None
    denial = denied(lambda: sdk.enforce(role["name"], "read", {"env": "production"}))
    assert (denial.deny_code, denial.severity) == ("ENV_VIOLATION", "high")
    denial = denied(lambda: sdk.enforce(role["name"], "read", {"limit": 11}))
    assert (denial.deny_code, denial.severity) == ("DATA_LIMIT_EXCEEDED", "high")


def test_time_violation(sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]) -> None:
    # Neither today nor tomorrow: the test may run over midnight.
    day_after = (datetime.now(UTC).weekday() + 3) % 7
    role = new_role(["read"], allowed_days=[day_after])
    denial = denied(lambda: sdk.enforce(role["name"], "read"))
    assert (denial.deny_code, denial.severity) == ("TIME_VIOLATION", "medium")


def test_rate_limit_over_both_workers(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"], rate_limit_per_hour=5)
    for _ in range(5):
        assert sdk.enforce(role["name"], "read") is None
    denial = denied(lambda: sdk.enforce(role["name"], "read"))
    assert (denial.deny_code, denial.severity) == ("RATE_LIMIT_EXCEEDED", "medium")
    assert denial.retry_guidance == "wait"


def test_approval_required(sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]) -> None:
    role = new_role(["pay"], approval_required=["pay"])
    denial = denied(lambda: sdk.enforce(role["name"], "pay"))
    assert (denial.deny_code, denial.severity) == ("APPROVAL_REQUIRED", "high")


def test_mcp_server_unauthorized(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"], allowed_mcp_servers=["erp"])
    assert sdk.mcp_enforce(role["name"], "read", mcp_server="erp") is None
    for named in ("slack", ""):
        denial = denied(partial(sdk.mcp_enforce, role["name"], "read", mcp_server=named))
        assert (denial.deny_code, denial.severity) == ("MCP_SERVER_UNAUTHORIZED", "high")


def test_a_tampered_token_is_denied_not_refused(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"])
    token = sdk.provision(role["id"])
    sdk._jwt = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    denial = denied(lambda: sdk.enforce(role["id"], "read"))
    assert (denial.deny_code, denial.severity) == ("JWT_INVALID", "high")


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"k": value}
    return value


@pytest.mark.parametrize(
    ("call_args", "code"),
    [
        (["a", "list"], "REQUEST_INVALID"),
        ("a string", "REQUEST_INVALID"),
        (7, "REQUEST_INVALID"),
        (nested(300), "REQUEST_INVALID"),
        (nested(700), "REQUEST_INVALID"),
        ({"text": "x" * (2 << 20)}, "REQUEST_INVALID"),
        ({"text": "x" * (20 << 20)}, "REQUEST_INVALID"),
        ({"text": "nul \0 byte"}, "REQUEST_INVALID"),
        ({str(i): i for i in range(300)}, "REQUEST_INVALID"),
        ({"list": list(range(5000))}, "REQUEST_INVALID"),
    ],
    ids=["list", "string", "number", "deep", "deeper", "2MB", "20MB", "nul", "keys", "values"],
)
def test_whatever_a_model_makes_up_as_arguments_is_denied(
    sdk: ScopeboundSDK,
    new_role: Callable[..., dict[str, Any]],
    call_args: Any,
    code: str,
) -> None:
    role = new_role(["read"])
    for enforce in (sdk.enforce, sdk.mcp_enforce):
        denial = denied(partial(enforce, role["name"], "read", call_args))
        assert denial.deny_code == code


@pytest.mark.parametrize(
    "tool_name", ["", "read\n", "read\0", "r" * 5000, 'read","allow":true,"x":"']
)
def test_whatever_a_model_makes_up_as_tool_name_is_denied(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]], tool_name: str
) -> None:
    role = new_role(["read"])
    denial = denied(lambda: sdk.enforce(role["name"], tool_name))
    assert denial.deny_code in {"REQUEST_INVALID", "SCOPE_VIOLATION"}


def test_nan_never_reaches_the_wire_as_an_allow(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"])
    # The client's own JSON encoder refuses it, whichever way it fails.
    with pytest.raises(ValueError, match="not JSON compliant"):
        sdk.enforce(role["name"], "read", {"amount": float("nan")})


def test_the_audit_log_is_exported_with_all_that_was_decided(
    sdk: ScopeboundSDK, new_role: Callable[..., dict[str, Any]]
) -> None:
    role = new_role(["read"])
    sdk.enforce(role["name"], "read", {"status": "=HYPERLINK(1)"})
    denied(lambda: sdk.enforce(role["name"], "=1+1"))
    deadline = time.monotonic() + 30
    while (lines := exported(sdk, role["id"])).count("tool_call.deny") == 0:
        assert time.monotonic() < deadline, "it is not in the database"
        time.sleep(0.1)
    calls = ["session.provisioned", "tool_call.allow", "tool_call.deny"]
    assert [event for event in lines if event in calls] == calls
    rows = csv.DictReader(io.StringIO(sdk.export_audit_log("csv", 1).decode()))
    told = [row for row in rows if row["role_id"] == role["id"] and row["event"] in calls]
    assert [row["event"] for row in told] == calls
    assert (told[1]["decision"], told[1]["tool_name"]) == ("allow", "read")
    # A spreadsheet would compute it without the apostrophe.
    assert (told[2]["deny_code"], told[2]["tool_name"]) == ("SCOPE_VIOLATION", "'=1+1")


def exported(sdk: ScopeboundSDK, role_id: str) -> list[str]:
    """The events that concern a role, as the client gets them when it says nothing else."""
    found = [line["record"] for line in json.loads(sdk.export_audit_log())]
    return [one["event"] for one in found if one.get("role", {}).get("id") == role_id]
