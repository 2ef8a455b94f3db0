"""Role files as text: what is read, what is refused and where, what is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from scopebound_engine.cli.role_file import (
    DEFAULTS,
    RoleFileError,
    canonical,
    read,
    write,
    write_json,
)
from scopebound_engine.errors import FindingsError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields

EVERYTHING: dict[str, Any] = {
    "name": "invoice-processor",
    "description": "Processes invoices — read only: no 010\nsecond line \u0085 # not a comment",
    "allowed_tools": ["read_invoices", "no", "010", "12:30", "é", "a: b", "# x", " "],
    "default_ttl_seconds": 900,
    "max_delegation_depth": 1,
    "rate_limit_per_minute": 30,
    "rate_limit_per_hour": 500,
    "parent_role_id": "base-agent",
    "parameter_constraints": {
        "send.mail": [{"field": "to", "operator": "regex", "value": r"^[^@\s]+@company\.com$"}],
        "no": [
            {"field": "region", "operator": "in", "value": ["no", False, None, 0.5, 10, "10"]},
            {"field": "amount", "operator": "lt", "value": 50000, "required": True},
            {"field": "meta", "operator": "eq", "value": {"on": [{}, [], ""]}},
        ],
    },
    "allowed_hours_start": 8,
    "allowed_hours_end": 20,
    "allowed_days": [0, 1, 2, 3, 4],
    "data_scope": {"allowed_envs": ["staging"], "max_rows": 1000},
    "webhook_url": "https://your-server.com/webhooks/scopebound",
    "approval_required": ["no"],
    "approval_ttl_seconds": 900,
    "allowed_mcp_servers": ["filesystem"],
    "mcp_server_rate_limits": {"filesystem": 60},
}


def file_of(folder: Path, text: str, name: str = "roles.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, name: str = "roles.yaml") -> str:
    with pytest.raises(FindingsError) as caught:
        read(file_of(folder, text, name))
    return str(caught.value).replace(str(folder) + "/", "")


def test_a_role_says_what_is_not_a_default(tmp_path: Path) -> None:
    (entry,) = read(file_of(tmp_path, "roles:\n- name: r\n  allowed_tools: [read]\n"))
    assert entry.fields == dict(DEFAULTS) | {"name": "r", "allowed_tools": ["read"]}
    assert entry.secret is None


def test_the_clients_other_spellings_are_the_same_role(tmp_path: Path) -> None:
    one = "- {name: r, default_ttl_seconds: 900, data_scope: {max_rows: 5}}"
    other = "- {name: r, default_ttl: 900, max_rows: 5, allowed_envs: []}"
    fields = [read(file_of(tmp_path, f"roles:\n{text}\n"))[0].fields for text in (one, other)]
    assert fields[0] == fields[1]


@pytest.mark.parametrize("secret", ["", "a-secret-of-webhooks"])
def test_a_secret_that_is_said_is_kept_apart_and_not_shown(tmp_path: Path, secret: str) -> None:
    text = f'roles:\n- name: r\n  webhook_secret: "{secret}"\n'
    (entry,) = read(file_of(tmp_path, text))
    assert entry.secret == secret
    assert "webhook_secret" not in entry.fields
    assert not secret or secret not in repr(entry)


def test_every_mistake_is_told_with_file_line_role_and_field(tmp_path: Path) -> None:
    told = refusal(
        tmp_path,
        """\
roles:
- name: good
- name: invoice-processor
  allowed_tools: read_invoices
  data_scope:
    max_rows: -1
  parameter_constraints:
    send.mail:
    - field: to
      operator: regex
      value: "(?=a)"
- name: good
- allowed_tool: []
- 7
- name: 5
  default_ttl_seconds: "900"
""",
    )
    assert told.splitlines()[0] == "roles.yaml is refused; nothing was changed"
    for line in (
        "roles.yaml:4:1: role invoice-processor: allowed_tools: must be an array, not a string; ",
        "roles.yaml:12:1: role good: name: stands twice in the file",
        "roles.yaml:13:1: role number 4: name: is missing; allowed_tool: is not a known field",
        "roles.yaml:14:1: role number 5: must be an object, not a number",
    ):
        assert f"\n  {line}" in told
    assert "parameter_constraints.send.mail.0.value: a lookahead" in told
    assert "default_ttl_seconds: must be an integer, not a string" in told


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("allowed_hours_end: 8", 4),
        ("default_ttl_seconds: 5", 4),
        ("data_scope: {max_rows: -1}", 4),
        ("id: 3bcedc38-a87a-4c2a-bc50-7693cb90af2d", 4),
        ("description:", 4),
        ("webhook_secret: short", 4),
    ],
)
def test_a_mistake_is_told_at_the_line_of_its_field(tmp_path: Path, field: str, line: int) -> None:
    text = f"roles:\n- name: r\n  allowed_hours_start: 8\n  {field}\n"
    told = refusal(tmp_path, text)
    assert f"roles.yaml:{line}:1: role r: {field.partition(':')[0]}" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- name: r", "`roles:` is missing"),
        ("roles: {name: r}", "`roles:` is missing"),
        ("roles:", "`roles:` is missing"),
        ("roles: []\nversion: 1", "beside `roles` it has version"),
        ("roles: [", "roles.yaml:1:9: "),
        ("roles: [{name: no}]", "roles.yaml:1:16: roles.no.name: no does not mean the same"),
        ("roles: [{on: 1}]", "roles.yaml:1:10: roles.0: on does not mean the same"),
        ("roles: [{name: a, name: b}]", 'roles.yaml:1:19: roles.a: the key "name" stands twice'),
        (
            "roles: [{name: a, allowed_hours_start: 010}]",
            "roles.yaml:1:40: roles.a.allowed_hours_start: 010 does not",
        ),
        (
            "roles: [{name: a, allowed_tools: [2026-04-29]}]",
            "roles.yaml:1:35: roles.a.allowed_tools.0: 2026-04-29",
        ),
    ],
)
def test_what_is_no_role_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"roles": [{"name": "r", "name": "s"}]}', '"name" stands twice'),
        ('{"roles": [{"name": "r"}], }', "not JSON"),
        ("roles: []", "not JSON"),
        ('{"roles": [{"name": "r", "max_rows": 1.5}]}', "roles.json: role r: data_scope.max_rows"),
    ],
)
def test_a_json_file_is_read_as_strictly(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text, "roles.json")


def test_a_file_that_is_not_there_or_not_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RoleFileError, match="cannot be read: No such file"):
        read(tmp_path / "nowhere.yaml")
    (tmp_path / "roles.yaml").write_bytes(b"roles: \xff")
    with pytest.raises(RoleFileError, match=r"cannot be read: .*byte 0xff"):
        read(tmp_path / "roles.yaml")


@pytest.mark.parametrize("name", ["roles.yaml", "roles.json"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    roles = [
        canonical(parse(RoleFields, fields))
        for fields in (EVERYTHING, {"name": "none"}, {"name": "10"})
    ]
    text = write_json(roles) if name.endswith(".json") else write(roles, {"none"})
    assert [entry.fields for entry in read(file_of(tmp_path, text, name))] == roles


def test_no_roles_are_written_and_read_back(tmp_path: Path) -> None:
    assert read(file_of(tmp_path, write([], set()))) == ()


def test_what_is_written_is_short_and_says_where_a_secret_is_kept() -> None:
    role = canonical(parse(RoleFields, {"name": "r", "allowed_tools": ["read", "no"]}))
    plain, kept = write([role], set()), write([role], {"r"})
    assert "- name: r\n  allowed_tools: [read, 'no']\n" in plain
    assert "webhook_secret" not in plain
    assert "webhook_secret" in kept
    assert json.loads(write_json([role])) == {
        "roles": [{"name": "r", "allowed_tools": ["read", "no"]}]
    }
