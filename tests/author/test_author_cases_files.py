from pathlib import Path

import pytest

from scopebound_engine.author.cases import files as case_files
from scopebound_engine.author.cases.fields import Expected
from scopebound_engine.author.cases.files import Case
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.signature import identity
from scopebound_engine.errors import FindingsError

ROOT = Path(__file__).parents[2]
FILE = """\
roles:
  clerk: {allowed_tools: [read]}
  boss: {allowed_tools: [pay], parent_role_id: clerk}
cases:
  - name: by role
    role: boss
    at: "2026-11-18T23:00:00Z"
    call: {tool_name: pay, call_args: {amount: 5}, mcp_server: bank}
    session: {revoked: true}
    expect:
      deny: SESSION_EXPIRED
      severity: low
      retry_guidance: none
      reason: revoked
      codes: [SESSION_EXPIRED, OTHER]
  - name: by a role of its own
    role: {allowed_tools: [read]}
    call: {tool_name: read}
    expect: allow
  - name: a session
    role: boss
    spawn: {role: clerk, ttl_seconds: 60}
    expect: {deny: DELEGATION_DEPTH_EXCEEDED}
  - name: by facts
    input: {}
    expect: {deny: SCOPE_VIOLATION}
"""


def read(tmp_path: Path, text: str | bytes) -> list[Case]:
    path = tmp_path / "some_cases.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return case_files.read({"x/some_cases.yaml": path})


def mistakes(tmp_path: Path, text: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(FindingsError) as caught:
        read(tmp_path, text)
    assert {finding.file for finding in caught.value.findings} == {"x/some_cases.yaml"}
    return [(finding.line, finding.message) for finding in caught.value.findings]


def test_cases_are_read_with_their_lines_and_roles(tmp_path: Path) -> None:
    first, second, third, fourth = read(tmp_path, FILE)
    assert [case.line for case in (first, second, third, fourth)] == [5, 16, 20, 24]
    assert first.roles.keys() == {"clerk", "boss"}
    assert first.fields.call is not None
    assert first.fields.call.call_args == {"amount": 5}
    assert first.expected == Expected(
        deny="SESSION_EXPIRED",
        severity="low",
        retry_guidance="none",
        reason="revoked",
        codes=("SESSION_EXPIRED", "OTHER"),
    )
    assert second.expected == Expected()
    assert second.roles[""].allowed_tools == ("read",)
    assert third.fields.spawn is not None
    assert fourth.fields.input == {}


def test_a_file_may_be_a_list_of_cases(tmp_path: Path) -> None:
    (case,) = read(tmp_path, "- {name: x, input: {}, expect: allow}\n")
    assert (case.fields.name, case.line) == ("x", 1)


CASE = "cases:\n  - name: one\n    input: {}\n    expect: allow\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            CASE + "    expcet: allow\n",
            5,
            "case one: expcet: is not a known field; did you mean expect?",
        ),
        (CASE + "csaes: []\n", 5, "csaes is not known here; known are: roles, cases"),
        (CASE + CASE.partition("\n")[2], 5, "case one stands on line 2 too"),
        (CASE + "    name: two\n", 5, 'cases.one: the key "name" stands twice'),
        (
            CASE + '    at: "2026-11-18T12:00:00Z"\n',
            2,
            "case one: `input` is all facts; leave out at",
        ),
        (CASE.replace("allow", "deny"), 4, "case one: expect: must be allow, or an object with"),
        (CASE.replace("allow", "{severity: low}"), 4, "case one: expect: must be allow, or an obj"),
        (
            CASE.replace("allow", "{deny: X, severity: bad}"),
            4,
            "case one: expect.severity: must be",
        ),
        (
            CASE.replace("allow", "{deny: X, why: y}"),
            4,
            "case one: expect.why: is not a known field",
        ),
        (
            CASE.replace("input: {}", "call: {tool_name: x}"),
            2,
            "case one: needs `input`, or a `role`",
        ),
        (CASE.replace("input: {}", "role: clerk"), 2, "case one: needs `input`, or a `role` with"),
        (
            CASE.replace("input: {}", "role: clerk\n    call: {tool_name: x}"),
            3,
            "case one: no role clerk stands under `roles`",
        ),
        (
            CASE.replace("input: {}", "role: {tools: []}\n    call: {tool_name: x}"),
            3,
            "case one: tools: is not a known field",
        ),
        (
            CASE.replace("input: {}", 'role: {}\n    at: "noon"\n    call: {tool_name: x}'),
            4,
            'case one: at: must be a time like "2026-11-18T12:00:00Z"',
        ),
        (
            "roles: {a: {allowed_hours_end: 24}}\n" + CASE,
            1,
            "role a: allowed_hours_end: must be at most",
        ),
        ("roles: {a: {name: b}}\n" + CASE, 1, "role a: must be an object without `name`"),
        ("roles: {a: {parent_role_id: b}}\n" + CASE, 1, "role a: no role b stands under `roles`"),
        ("roles: []\n" + CASE, 1, "roles are an object: a role by each name"),
        ("cases: []\n", 1, "there are no cases; list them under `cases`"),
        ("5\n", 1, "a case file is a list of cases, or an object with roles and cases"),
        ("- x\n", 1, "case 1: must be an object, not a string"),
        ("", 0, "there is nothing in it"),
        ("cases: [\n", 2, "while parsing a flow node"),
        (CASE.replace("allow", "no"), 4, "cases.one.expect: no does not mean the same to every"),
        (b"\xff\xfe\n", 0, "cannot be read: 'utf-8' codec"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, message: str
) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found[1].startswith(message)
    assert found[0] == line


def test_all_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    names = ["a_cases.yaml", "b_cases.yaml"]
    for name in names:
        (tmp_path / name).write_text("- {name: x, expect: allow}\n- {name: y}\n")
    with pytest.raises(FindingsError) as caught:
        case_files.read({name: tmp_path / name for name in names})
    assert [(found.file, found.line) for found in caught.value.findings] == [
        (name, line) for name in names for line in (1, 2)
    ]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FindingsError, match="No such file"):
        case_files.read({"gone_cases.yaml": tmp_path / "gone_cases.yaml"})


def test_case_files_stay_out_of_bundles(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes((ROOT / "manifest.json").read_bytes())
    (tmp_path / "policies/scopebound").mkdir(parents=True)
    (tmp_path / "policies/scopebound/main.rego").write_text("package scopebound\n")
    before = build(tmp_path / "policies", manifest)
    (tmp_path / "policies/scopebound/any_cases.yaml").write_text("not even YAML: [")
    after = build(tmp_path / "policies", manifest)
    assert sorted(after) == ["manifest.json", "scopebound/main.rego"]
    assert identity(after) == identity(before)
    # Nor does a server take one that somebody packed by hand.
    (refused,) = archive.refusals(["scopebound/any_cases.yaml"])
    assert refused.message == "a file that has no place in a bundle"
