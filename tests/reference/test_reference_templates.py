"""The published client's four role templates, with their hooks, on a real server.

Each template makes a role, and each call of its table gets the verdict that the template's author
meant. Where a template cannot mean what it says, the answer to its creation warns of that, and what
the warning advises to write does mean it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from scopebound import ScopeboundSDK
from scopebound.adapters import mcp_database, mcp_filesystem, mcp_github, mcp_slack
from scopebound.adapters.mcp import MCPHook
from scopebound.exceptions import ScopeboundDenyError

from tests.servers import API_KEY, RunningServer, serving


class Row(NamedTuple):
    """A call and its verdict: `allow` or a deny code."""

    tool_name: str
    arguments: dict[str, Any]
    verdict: str


class Surprise(NamedTuple):
    """A call whose verdict is not the one meant, and the warning that says so."""

    tool_name: str
    arguments: dict[str, Any]
    meant: str
    answered: str
    warning: str


@dataclass(frozen=True)
class Case:
    """A template, its hook, what it warns of, and its tables.

    `advised` replaces the constraints on one field, as the warnings say: field -> pattern.
    """

    hook: type[MCPHook]
    template: dict[str, Any]
    rows: list[Row]
    surprises: list[Surprise] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    advised: Mapping[str, str] = field(default_factory=dict)


ALLOW, SCOPE, PARAMETER = "allow", "SCOPE_VIOLATION", "PARAMETER_VIOLATION"
APPROVAL, ROWS = "APPROVAL_REQUIRED", "DATA_LIMIT_EXCEEDED"


def unanchored(pattern: str, sides: str, whole: str) -> str:
    return (
        f'the pattern "{pattern}" lets through any value that has something more {sides} what it '
        f'matches, line breaks too; to match the whole value write "{whole}"'
    )


def on(tools: list[str], argument: str, *sentences: str) -> list[str]:
    """Warnings on an argument of several tools."""
    return [
        f"parameter_constraints.{tool}.{argument}: {sentence}"
        for tool in tools
        for sentence in sentences
    ]


INVOICES = unanchored("/data/invoices(/.*)?$", "before", "^/data/invoices(/.*)?$")
TMP = unanchored("/tmp(/.*)?$", "before", "^/tmp(/.*)?$")
TEXTS = unanchored(r"/tmp/[^/]*\.txt", "before or after", r"^/tmp/[^/]*\.txt$")
ALL_AT_ONCE = (
    "the 2 patterns on this field have to match all at once; where one of them is enough, write a "
    'single one: "^(?:A|B)$"'
)
AHEAD = "^(?!(main|master|production$)).+"
BRANCH_END = unanchored(AHEAD, "after", AHEAD + "$")
BRANCH_START = (
    f'the pattern "{AHEAD}" also refuses longer values that only begin with what '
    "(?!(main|master|production$)) names; to refuse just those begin it with "
    '"^(?!(?:(main|master|production$))$)"'
)
COMMIT = {"repo": "myorg/backend", "message": "m", "files": []}

CASES = {
    "filesystem, one folder": Case(
        mcp_filesystem.FilesystemHook,
        mcp_filesystem.filesystem_role_template("fs-one", ["/data/invoices/**"]),
        rows=[
            Row("read_file", {"path": "/data/invoices/inv-001.pdf"}, ALLOW),
            Row("read_file", {"path": "/data/invoices/2026/04/inv-001.pdf"}, ALLOW),
            Row("list_directory", {"path": "/data/invoices"}, ALLOW),
            Row("read_file", {"path": "/data/invoices-old/inv-001.pdf"}, PARAMETER),
            Row("read_file", {"path": "/etc/passwd"}, PARAMETER),
            Row("read_file", {"path": ["/data/invoices/inv-001.pdf"]}, PARAMETER),
            Row("list_directory", {"path": "/"}, PARAMETER),
            Row("write_file", {"path": "/data/invoices/a", "content": "x"}, APPROVAL),
            Row("delete_file", {"path": "/data/invoices/a"}, APPROVAL),
            Row("write_file", {"path": "/etc/passwd", "content": "x"}, PARAMETER),
            Row("move_file", {"path": "/data/invoices/a"}, SCOPE),
        ],
        surprises=[
            Surprise("read_file", {"path": "/mnt/data/invoices/x"}, PARAMETER, ALLOW, INVOICES),
        ],
        warnings=on(mcp_filesystem.ALL_TOOLS, "path", INVOICES),
        advised={"path": "^/data/invoices(/.*)?$"},
    ),
    "filesystem, two folders": Case(
        mcp_filesystem.FilesystemHook,
        mcp_filesystem.filesystem_role_template("fs-two", ["/data/invoices/**", "/tmp/**"]),
        rows=[Row("read_file", {"path": "/etc/passwd"}, PARAMETER)],
        surprises=[
            Surprise(
                "read_file", {"path": "/data/invoices/inv-001.pdf"}, ALLOW, PARAMETER, ALL_AT_ONCE
            ),
            Surprise("list_directory", {"path": "/tmp"}, ALLOW, PARAMETER, ALL_AT_ONCE),
            Surprise(
                "write_file", {"path": "/tmp/a", "content": ""}, APPROVAL, PARAMETER, ALL_AT_ONCE
            ),
        ],
        warnings=on(mcp_filesystem.ALL_TOOLS, "path", INVOICES, TMP, ALL_AT_ONCE),
        advised={"path": "^(?:/data/invoices(/.*)?|/tmp(/.*)?)$"},
    ),
    "filesystem, files of one kind, writes without approval": Case(
        mcp_filesystem.FilesystemHook,
        mcp_filesystem.filesystem_role_template(
            "fs-kind", ["/tmp/*.txt"], require_approval_for_writes=False
        ),
        rows=[
            Row("read_file", {"path": "/tmp/a.txt"}, ALLOW),
            Row("write_file", {"path": "/tmp/a.txt", "content": "x"}, ALLOW),
            Row("delete_file", {"path": "/tmp/a.txt"}, ALLOW),
            Row("read_file", {"path": "/tmp/a/b.txt"}, PARAMETER),
            Row("read_file", {"path": "/tmp/a.pdf"}, PARAMETER),
        ],
        surprises=[
            Surprise("read_file", {"path": "/tmp/a.txt.pdf"}, PARAMETER, ALLOW, TEXTS),
            Surprise("read_file", {"path": "/mnt/tmp/a.txt"}, PARAMETER, ALLOW, TEXTS),
        ],
        warnings=on(mcp_filesystem.ALL_TOOLS, "path", TEXTS),
        advised={"path": r"^/tmp/[^/]*\.txt$"},
    ),
    "github": Case(
        mcp_github.GitHubHook,
        mcp_github.github_role_template("gh", ["myorg/backend", "myorg/infra"]),
        rows=[
            Row("create_issue", {"repo": "myorg/backend", "title": "Bug"}, ALLOW),
            Row("create_issue", {"repo": "myorg/backend-2", "title": "Bug"}, PARAMETER),
            Row("create_issue", {"repo": "evil/myorg/backend", "title": "Bug"}, PARAMETER),
            Row("push_commit", COMMIT | {"branch": "feature/x"}, ALLOW),
            Row("push_commit", COMMIT | {"branch": "main"}, PARAMETER),
            Row("push_commit", COMMIT | {"branch": "master"}, PARAMETER),
            Row("push_commit", COMMIT | {"branch": "production"}, PARAMETER),
            Row("push_commit", COMMIT | {"branch": ""}, PARAMETER),
            Row("push_commit", COMMIT | {"branch": "x", "repo": "other/x"}, PARAMETER),
            Row("create_pr", {"repo": "myorg/infra", "head": "x", "base": "main"}, ALLOW),
            Row("create_pr", {"repo": "other/infra", "head": "x", "base": "main"}, PARAMETER),
            Row("merge_pr", {"repo": "myorg/infra", "pr_number": 1}, APPROVAL),
            Row("merge_pr", {"repo": "other/infra", "pr_number": 1}, PARAMETER),
            Row("read_file", {"repo": "myorg/infra", "path": "a", "branch": "main"}, ALLOW),
            Row("read_file", {"repo": "other/infra", "path": "a"}, PARAMETER),
            Row("delete_repo", {"repo": "myorg/infra"}, SCOPE),
        ],
        surprises=[
            Surprise(
                "push_commit", COMMIT | {"branch": "maintenance"}, ALLOW, PARAMETER, BRANCH_START
            ),
        ],
        warnings=on(["push_commit"], "branch", BRANCH_END, BRANCH_START),
        advised={"branch": "^(?!(?:(main|master|production$))$).+$"},
    ),
    "github, every repository of an owner, no protected branches, merges without approval": Case(
        mcp_github.GitHubHook,
        mcp_github.github_role_template(
            "gh-owner", ["myorg/*"], protected_branches=[], require_approval_for_merge=False
        ),
        rows=[
            Row("push_commit", COMMIT | {"branch": "main"}, ALLOW),
            Row("merge_pr", {"repo": "myorg/anything", "pr_number": 1}, ALLOW),
            Row("merge_pr", {"repo": "other/anything", "pr_number": 1}, PARAMETER),
            Row("create_issue", {"repo": "myorg/a/b", "title": "Bug"}, PARAMETER),
        ],
    ),
    "slack": Case(
        mcp_slack.SlackHook,
        mcp_slack.slack_role_template("sl", ["#engineering", "C012AB3CD"]),
        rows=[
            Row("post_to_channel", {"channel": "#engineering", "text": "x"}, ALLOW),
            Row("post_to_channel", {"channel": "C012AB3CD", "text": "x"}, ALLOW),
            Row("post_to_channel", {"channel": "#random", "text": "x"}, PARAMETER),
            Row("post_to_channel", {"channel": "#engineering-x", "text": "x"}, PARAMETER),
            Row("send_message", {"channel": "#engineering", "text": "x"}, APPROVAL),
            Row("send_message", {"channel": "#random", "text": "x"}, PARAMETER),
            Row("list_channels", {}, ALLOW),
            Row("list_channels", {"limit": 100, "exclude_archived": True}, ALLOW),
            Row("send_dm", {"user": "U1", "text": "x"}, SCOPE),
        ],
    ),
    "slack, messages without approval": Case(
        mcp_slack.SlackHook,
        mcp_slack.slack_role_template(
            "sl-free", ["#ops-alerts"], require_approval_for_external=False
        ),
        rows=[
            Row("send_message", {"channel": "#ops-alerts", "text": "x"}, ALLOW),
            Row("send_message", {"channel": "#random", "text": "x"}, PARAMETER),
        ],
    ),
    "database, read only": Case(
        mcp_database.DatabaseHook,
        mcp_database.database_role_template("db", ["invoices", "line_items", "vendors"]),
        rows=[
            Row("query", {"sql": "SELECT * FROM invoices", "limit": 100}, ALLOW),
            Row("query", {"sql": "SELECT 1", "table": "invoices", "limit": 1000}, ALLOW),
            Row("query", {"sql": "SELECT 1", "table": "invoices", "limit": 1001}, ROWS),
            Row("query", {"sql": "SELECT 1", "table": "invoices", "limit": "all"}, ROWS),
            Row("query", {"sql": "SELECT 1", "table": "users"}, PARAMETER),
            Row("query", {"sql": "SELECT 1", "table": "Invoices"}, PARAMETER),
            Row("execute", {"sql": "DELETE", "table": "invoices"}, SCOPE),
            Row("list_tables", {}, ALLOW),
            Row("list_tables", {"schema": "public"}, ALLOW),
        ],
    ),
    "database, read and write": Case(
        mcp_database.DatabaseHook,
        mcp_database.database_role_template("db-rw", ["invoices"], read_only=False, max_rows=10),
        rows=[
            Row("execute", {"sql": "DELETE", "table": "invoices"}, APPROVAL),
            Row("execute", {"sql": "DELETE", "table": "users"}, PARAMETER),
            Row("query", {"sql": "SELECT 1", "table": "invoices", "limit": 11}, ROWS),
        ],
    ),
    "database, writes without approval": Case(
        mcp_database.DatabaseHook,
        mcp_database.database_role_template(
            "db-free", ["invoices"], read_only=False, require_approval_for_execute=False
        ),
        rows=[
            Row("execute", {"sql": "DELETE", "table": "invoices"}, ALLOW),
            Row("execute", {"sql": "DELETE", "table": "users"}, PARAMETER),
        ],
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("templates") / "data") as running:
        yield running


@pytest.fixture
def sdk(server: RunningServer) -> Iterator[ScopeboundSDK]:
    with ScopeboundSDK(server.url, api_key=API_KEY) as client:
        yield client


@pytest.fixture
def role(sdk: ScopeboundSDK, case: Case, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The role that the template makes, under a name of the test's own."""
    name = f"{case.template['name']} {request.node.originalname}"
    return dict(sdk.create_role(**case.template | {"name": name}))


def verdict(hook: MCPHook, tool_name: str, arguments: dict[str, Any]) -> str:
    try:
        hook(tool_name, arguments)
    except ScopeboundDenyError as denial:
        return str(denial.deny_code)
    return ALLOW


@each_case
def test_the_role_holds_what_the_template_says(case: Case, role: dict[str, Any]) -> None:
    for name, value in case.template.items():
        if name == "max_rows":
            assert role["data_scope"]["max_rows"] == value
        elif name != "name":
            assert role[name] == value
    assert role["warnings"] == case.warnings


@each_case
def test_each_call_gets_the_verdict_that_was_meant(
    sdk: ScopeboundSDK, case: Case, role: dict[str, Any]
) -> None:
    hook = case.hook(sdk, role["id"])
    answered = [
        Row(row.tool_name, row.arguments, verdict(hook, row.tool_name, row.arguments))
        for row in case.rows
    ]
    assert answered == case.rows


@each_case
def test_each_verdict_that_was_not_meant_was_warned_of(
    sdk: ScopeboundSDK, case: Case, role: dict[str, Any]
) -> None:
    hook = case.hook(sdk, role["id"])
    for surprise in case.surprises:
        tool_name, arguments, _, answered, warning = surprise
        assert verdict(hook, tool_name, arguments) == answered
        assert any(
            text.startswith(f"parameter_constraints.{tool_name}.") and text.endswith(warning)
            for text in role["warnings"]
        )


@pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.advised],
    ids=[name for name, case in CASES.items() if case.advised],
)
def test_what_the_warnings_advise_means_what_was_meant(
    sdk: ScopeboundSDK, case: Case, role: dict[str, Any]
) -> None:
    constraints = {
        tool: [rule for rule in rules if rule["field"] not in case.advised]
        + [
            {"field": argument, "operator": "regex", "value": pattern}
            for argument, pattern in case.advised.items()
            if argument in [rule["field"] for rule in rules]
        ]
        for tool, rules in role["parameter_constraints"].items()
    }
    mended = sdk.update_role(role["id"], parameter_constraints=constraints)
    hook = case.hook(sdk, role["id"])
    for row in case.rows:
        assert verdict(hook, row.tool_name, row.arguments) == row.verdict
    for surprise in case.surprises:
        assert verdict(hook, surprise.tool_name, surprise.arguments) == surprise.meant
    assert mended["warnings"] == []


@each_case
def test_another_server_is_not_authorized(
    sdk: ScopeboundSDK, case: Case, role: dict[str, Any]
) -> None:
    row = case.rows[0]
    for server_name in ("elsewhere", ""):
        hook = MCPHook(sdk, role["id"], mcp_server=server_name)
        assert verdict(hook, row.tool_name, row.arguments) == "MCP_SERVER_UNAUTHORIZED"


@each_case
def test_the_asynchronous_hook_answers_alike(
    sdk: ScopeboundSDK, case: Case, role: dict[str, Any]
) -> None:
    hook = case.hook(sdk, role["id"])
    row = case.rows[-1]

    async def call() -> str:
        try:
            await hook.async_call(row.tool_name, row.arguments)
        except ScopeboundDenyError as denial:
            return str(denial.deny_code)
        return ALLOW

    assert asyncio.run(call()) == row.verdict
