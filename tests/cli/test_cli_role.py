"""`role` against a running server, as an operator types it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import API_KEY, RunningServer, environment, free_port, serving

BASE = """\
roles:
  - name: senior-agent
    parent_role_id: extended-agent
    allowed_tools: [approve_invoice]
  - name: extended-agent
    parent_role_id: base-agent
    allowed_tools: [send_email]
    parameter_constraints:
      send_email:
        - {field: to, operator: regex, value: '.*@company\\.com$'}
  - name: base-agent
    description: Reads
    allowed_tools: [read_invoices, read_vendors]
    webhook_url: https://your-server.com/webhooks/scopebound
    webhook_secret: your-hmac-secret
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("roles") / "data", workers=1) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_roles(server: RunningServer) -> None:
    """Each test begins with a server that has no roles: children go before their parents."""
    with server.client() as http:
        while roles := http.get("/mgmt/v1/roles").json()["roles"]:
            for role in roles:
                http.delete(f"/mgmt/v1/roles/{role['id']}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "roles.yaml"
    path.write_text(BASE)
    return path


class Terminal:
    """The `role` command in a folder, against a server."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.folder = folder
        port = server.url.rpartition(":")[2]
        self.env = environment(server.data_dir, port=port)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "scopebound_engine", "role", *arguments],
            env=self.env | env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """The output of a command that succeeds."""
        result = self.run(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def refused(self, *arguments: str, **env: str) -> str:
        """The error of a command that does not."""
        result = self.run(*arguments, **env)
        assert result.returncode == 1, result.stdout
        assert "Traceback" not in result.stderr
        return result.stderr

    def answering(self, answer: str, *arguments: str) -> tuple[int, str]:
        """Exit code and output on a terminal where this is typed."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "scopebound_engine", "role", *arguments],
            env=self.env,
            cwd=self.folder,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.close(slave)
        os.write(master, answer.encode())
        output, _ = process.communicate(timeout=60)
        os.close(master)
        return process.returncode, output


@pytest.fixture
def shell(server: RunningServer, tmp_path: Path) -> Terminal:
    return Terminal(server, tmp_path)


def roles(server: RunningServer) -> dict[str, dict[str, Any]]:
    with server.client() as http:
        return {role["name"]: role for role in http.get("/mgmt/v1/roles").json()["roles"]}


def test_apply_creates_parents_first_and_again_changes_nothing(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    output = shell.done("apply", "-f", "roles.yaml", "--yes")
    assert [line for line in output.splitlines() if line[0] in "+c"] == [
        "+ base-agent",
        "+ extended-agent",
        "+ senior-agent",
        "created base-agent",
        "created extended-agent",
        "created senior-agent",
    ]
    made = roles(server)
    assert made["senior-agent"]["parent_role_id"] == made["extended-agent"]["id"]
    assert made["base-agent"]["webhook_secret_hint"] == "your-hma***"

    again = shell.done("apply", "-f", "roles.yaml")
    assert "0 to create, 0 to change, 3 unchanged" in again
    assert [line[:2] for line in again.splitlines()[:3]] == ["= "] * 3
    assert roles(server) == made


def test_apply_changes_what_the_file_says_and_what_it_no_longer_says(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    shell.done("apply", "-f", "roles.yaml", "--yes")
    before = roles(server)
    text = BASE.replace("[read_invoices, read_vendors]", "[read_invoices, pay]")
    text = text.replace("    description: Reads\n", "    max_rows: 10\n")
    file.write_text(text.replace("    webhook_secret: your-hmac-secret\n", ""))

    output = shell.done("apply", "-f", "roles.yaml", "--yes")
    assert output.splitlines()[:8] == [
        "= senior-agent",
        "= extended-agent",
        "~ base-agent",
        '    description: "Reads" -> ""',
        "    allowed_tools:",
        '      - "read_vendors"',
        '      + "pay"',
        "    data_scope.max_rows: 0 -> 10",
    ]
    assert "changed base-agent" in output
    after = roles(server)
    assert after["base-agent"] == before["base-agent"] | {
        "allowed_tools": ["read_invoices", "pay"],
        "description": "",
        "data_scope": {"allowed_envs": [], "max_rows": 10},
        "updated_at": after["base-agent"]["updated_at"],
    }
    assert after["base-agent"]["webhook_secret_hint"] == "your-hma***"
    assert after["extended-agent"] == before["extended-agent"]


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    output = shell.done("apply", "-f", "roles.yaml", "--dry-run")
    assert "3 to create" in output
    assert "created" not in output
    assert roles(server) == {}


def test_roles_that_are_not_in_the_file_are_left_alone(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    with server.client() as http:
        other = http.post("/mgmt/v1/roles", json={"name": "other"}).json()
    output = shell.done("apply", "-f", "roles.yaml", "--yes")
    assert "1 on the server are not in the file and are left alone" in output
    assert roles(server)["other"]["updated_at"] == other["updated_at"]


def test_without_a_terminal_and_without_yes_nothing_is_changed(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    assert "--yes" in shell.refused("apply", "-f", "roles.yaml")
    assert roles(server) == {}


@pytest.mark.parametrize(("answer", "code", "count"), [("y\n", 0, 3), ("n\n", 1, 0), ("\n", 1, 0)])
def test_on_a_terminal_it_shows_the_changes_and_asks(
    server: RunningServer, shell: Terminal, file: Path, answer: str, code: int, count: int
) -> None:
    returned, output = shell.answering(answer, "apply", "-f", "roles.yaml")
    assert returned == code
    assert output.index("+ base-agent") < output.index(f"Change 3 roles on {server.url}?")
    assert len(roles(server)) == count


def test_warnings_of_the_server_are_told(shell: Terminal, file: Path) -> None:
    result = shell.run("apply", "-f", "roles.yaml", "--yes")
    assert result.returncode == 0
    warned = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warned[0].startswith("warning: extended-agent: parameter_constraints.send_email.to: ")
    assert "lets through" in warned[0]


def test_a_mistake_in_the_file_is_told_before_anything_is_changed(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    file.write_text(BASE.replace("[approve_invoice]", "approve_invoice"))
    told = shell.refused("apply", "-f", "roles.yaml", "--yes")
    assert "roles.yaml:4:1: role senior-agent: allowed_tools: must be an array" in told
    file.write_text(BASE.replace("base-agent\n    allowed", "nobody\n    allowed"))
    told = shell.refused("apply", "-f", "roles.yaml", "--dry-run")
    assert "roles.yaml:6:1: role extended-agent: parent_role_id: no role" in told
    assert roles(server) == {}


def test_what_only_the_server_refuses_names_file_role_and_field_and_what_was_done(
    server: RunningServer, shell: Terminal, file: Path
) -> None:
    # Its token would not fit a request, which only the server can know.
    many = "".join(f"      - tool-{'x' * 200}-{number}\n" for number in range(200))
    file.write_text(f"roles:\n  - name: small\n  - name: large\n    allowed_tools:\n{many}")
    told = shell.refused("apply", "-f", "roles.yaml", "--yes")
    assert "1 of 2 changes were made before it" in told
    assert "roles.yaml:3:1: role large: " in told
    assert list(roles(server)) == ["small"]


def test_a_json_file_is_applied_alike(server: RunningServer, shell: Terminal) -> None:
    body = {"roles": [{"name": "r", "allowed_tools": ["no", "010"]}]}
    (shell.folder / "roles.json").write_text(json.dumps(body))
    shell.done("apply", "-f", "roles.json", "--yes")
    assert roles(server)["r"]["allowed_tools"] == ["no", "010"]


@pytest.mark.parametrize("name", ["all.yaml", "all.json"])
def test_an_export_is_taken_back_unchanged_here_and_makes_the_same_roles_elsewhere(
    server: RunningServer, shell: Terminal, file: Path, name: str
) -> None:
    shell.done("apply", "-f", "roles.yaml", "--yes")
    with server.client() as http:
        http.post("/mgmt/v1/roles", json=AWKWARD)
    exported = roles(server)
    shell.done("export", "-f", name)
    text = (shell.folder / name).read_text()
    assert "your-hma" not in text

    assert "0 to create, 0 to change, 4 unchanged" in shell.done("apply", "-f", name)
    assert roles(server) == exported
    _empty(server)
    shell.done("apply", "-f", name, "--yes")
    varying = {"id", "created_at", "updated_at", "parent_role_id", "webhook_secret_hint"}
    for made, before in zip(roles(server).values(), exported.values(), strict=True):
        assert {**made, **dict.fromkeys(varying)} == {**before, **dict.fromkeys(varying)}


AWKWARD: dict[str, Any] = {
    "name": "no",
    "description": "a\nb \u0085 # c: d\u2028",
    "allowed_tools": ["no", "010", "12:30", "~", "é", "- x"],
    "parameter_constraints": {
        "a.b": [{"field": "region", "operator": "in", "value": ["no", False, None, 0.5, "10", 10]}],
        "no": [{"field": "x", "operator": "eq", "value": {"on": [{}, []]}, "required": True}],
    },
    "mcp_server_rate_limits": {"yes": 5},
    "parent_role_id": "base-agent",
    "default_ttl_seconds": 900,
    "allowed_hours_start": 8,
    "allowed_days": [0, 6],
}


def _empty(server: RunningServer) -> None:
    with server.client() as http:
        while left := http.get("/mgmt/v1/roles").json()["roles"]:
            for role in left:
                http.delete(f"/mgmt/v1/roles/{role['id']}")


def test_an_export_says_where_a_secret_is_kept_and_replaces_no_file(
    shell: Terminal, file: Path
) -> None:
    shell.done("apply", "-f", "roles.yaml", "--yes")
    printed = shell.done("export")
    before, _, role = printed.partition("- name: base-agent")
    assert before.endswith(
        "# This one has a webhook_secret, which is never shown; apply leaves it as it is.\n"
    )
    assert "webhook_secret" not in role
    assert "--force" in shell.refused("export", "-f", "roles.yaml")
    assert file.read_text() == BASE
    shell.done("export", "-f", "roles.yaml", "--force")
    assert file.read_text() == printed


def test_list_and_show(server: RunningServer, shell: Terminal, file: Path) -> None:
    shell.done("apply", "-f", "roles.yaml", "--yes")
    there = roles(server)
    header, *lines = shell.done("list").splitlines()
    assert header.split() == ["NAME", "STATE", "TOOLS", "TTL", "PARENT", "UPDATED", "ID"]
    assert [line.split()[0] for line in lines] == ["base-agent", "extended-agent", "senior-agent"]
    assert "base-agent" in lines[1].split()[5]
    assert json.loads(shell.done("list", "--json")) == list(there.values())

    base = there["base-agent"]
    for name in ("base-agent", base["id"]):
        assert "allowed_tools: [read_invoices, read_vendors]\n" in shell.done("show", name)
        assert json.loads(shell.done("show", name, "--json")) == base
    assert "no role named" in shell.refused("show", "a name & more")


def test_a_key_that_reads_only_names_is_not_enough(server: RunningServer, shell: Terminal) -> None:
    with server.client() as http:
        http.post("/mgmt/v1/roles", json={"name": "r"})
    made = subprocess.run(
        [sys.executable, "-m", "scopebound_engine", "keys", "create", "agents"],
        env=shell.env,
        capture_output=True,
        text=True,
        check=True,
    )
    for command in (["list"], ["export"]):
        told = shell.refused(*command, SCOPEBOUND_API_KEY=made.stdout.strip())
        assert "scope roles" in told


def test_the_servers_address_and_key_come_from_the_clients_variables(
    server: RunningServer, shell: Terminal
) -> None:
    elsewhere = {"SCOPEBOUND_PORT": "1", "SCOPEBOUND_DATA_DIR": str(shell.folder / "none")}
    given = {"SCOPEBOUND_BASE_URL": server.url + "/", "SCOPEBOUND_API_KEY": API_KEY}
    shell.env.pop("SCOPEBOUND_BOOTSTRAP_API_KEY")
    assert shell.run("list", **elsewhere, **given).returncode == 0
    assert "SCOPEBOUND_API_KEY" in shell.refused("list", **elsewhere)
    wrong = given | {"SCOPEBOUND_API_KEY": "sb-wrong"}
    assert "answered 401" in shell.refused("list", **elsewhere, **wrong)
    nowhere = given | {"SCOPEBOUND_BASE_URL": f"http://127.0.0.1:{free_port()}"}
    assert "no server answers" in shell.refused("list", **elsewhere, **nowhere)
    unfit = given | {"SCOPEBOUND_BASE_URL": "localhost:8080"}
    assert "http://" in shell.refused("list", **elsewhere, **unfit)


@pytest.mark.parametrize("command", [[], ["apply"], ["list"], ["show"], ["export"]])
def test_help_needs_no_server(shell: Terminal, command: list[str]) -> None:
    result = shell.run(*command, "--help", SCOPEBOUND_PORT="nonsense")
    assert result.returncode == 0
    assert "Usage:" in result.stdout
