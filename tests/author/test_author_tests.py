"""The shipped policies' tests and cases, and cases that are wrong about them."""

from pathlib import Path

import pytest

from scopebound_engine.author import folder, tests
from scopebound_engine.author.tests import Report
from scopebound_engine.errors import FindingsError, InputError

ROOT = Path(__file__).parents[2]
WRONG = """\
roles:
  clerk: {allowed_tools: [read]}
cases:
  - name: allowed, not denied
    role: clerk
    call: {tool_name: read}
    expect: {deny: SCOPE_VIOLATION}
  - name: denied, not allowed
    role: clerk
    call: {tool_name: pay}
    expect: allow
  - name: for another reason
    role: clerk
    call: {tool_name: pay}
    expect: {deny: ENV_VIOLATION}
  - name: in another way
    role: clerk
    call: {tool_name: pay}
    expect:
      deny: SCOPE_VIOLATION
      severity: low
      retry_guidance: wait
      reason: Sunday
      codes: [SCOPE_VIOLATION, ENV_VIOLATION]
  - name: as it is
    role: clerk
    call: {tool_name: pay}
    expect:
      deny: SCOPE_VIOLATION
      severity: medium
      retry_guidance: none
      reason: tool "pay" is not in allowed_tools
      codes: [SCOPE_VIOLATION]
"""


def shipped_with(tmp_path: Path, cases: str) -> folder.Sources:
    """The shipped policies without their tests and cases, and with these."""
    for file in (ROOT / "policies").rglob("*"):
        if file.is_file() and not file.name.endswith(("_test.rego", "_cases.yaml")):
            target = tmp_path / "policies" / file.relative_to(ROOT / "policies")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (tmp_path / "manifest.json").write_bytes((ROOT / "manifest.json").read_bytes())
    (tmp_path / "policies/wrong_cases.yaml").write_text(cases)
    return folder.read(tmp_path / "policies")


@pytest.fixture(scope="module")
def shipped() -> Report:
    return tests.run(folder.read(ROOT / "policies"))


def test_all_that_is_shipped_passes(shipped: Report) -> None:
    assert [result for result in shipped.results if result.outcome != "passed"] == []
    assert shipped.bad == ()
    assert shipped.count("passed") == len(shipped.results) > 100


def test_each_shipped_code_has_a_case_that_shows_it() -> None:
    manifest = folder.read(ROOT / "policies").require_manifest()
    text = (ROOT / "policies/scopebound/deny_cases.yaml").read_text()
    # Off as shipped: data.scopebound.config.delegation.attenuate.
    codes = {code.code for code in manifest.deny_codes} - {"DELEGATION_SCOPE_EXCEEDED"}
    assert [code for code in sorted(codes) if f"deny: {code}" not in text] == []


def test_what_a_case_is_wrong_about_is_told(tmp_path: Path) -> None:
    report = tests.run(shipped_with(tmp_path, WRONG))
    assert report.tests == ()
    messages = [(case.name, case.outcome, case.message) for case in report.cases]
    assert messages == [
        ("allowed, not denied", "failed", "expected deny SCOPE_VIOLATION, got allow"),
        ("denied, not allowed", "failed", "expected allow, got deny SCOPE_VIOLATION"),
        ("for another reason", "failed", "expected deny ENV_VIOLATION, got SCOPE_VIOLATION"),
        (
            "in another way",
            "failed",
            "expected severity low, got medium; expected retry_guidance wait, got none; "
            "expected codes SCOPE_VIOLATION, ENV_VIOLATION, got SCOPE_VIOLATION; "
            "the reason does not contain 'Sunday'",
        ),
        ("as it is", "passed", ""),
    ]
    assert [case.line for case in report.cases] == [4, 8, 12, 16, 25]
    (seen,) = report.cases[1].seen
    assert seen.text == "SCOPE_VIOLATION"
    assert seen.value.startswith(
        'tool "pay" is not in allowed_tools; allowed: ["read"] (medium, none)'
    )
    assert seen.value.rpartition(" at ")[2].startswith("scopebound/deny/scope_violation.rego:")


def test_names_choose_among_tests_and_cases() -> None:
    sources = folder.read(ROOT / "policies")
    report = tests.run(sources, "tool_outside_denies|a role without restrictions")
    assert {result.rule for result in report.tests} == {"test_tool_outside_denies"}
    assert [case.name for case in report.cases] == [
        "a role without restrictions may call its tool at any time"
    ]
    with pytest.raises(InputError, match="not a regular expression"):
        tests.run(sources, "(")


def test_a_case_that_gets_no_verdict_is_an_error_of_that_case_alone(tmp_path: Path) -> None:
    sources = shipped_with(
        tmp_path,
        """\
- name: gets none
  role: {allowed_tools: [read]}
  call: {tool_name: read, call_args: {limit: 1}}
  expect: allow
- name: gets one
  role: {allowed_tools: [read]}
  call: {tool_name: read}
  expect: allow
""",
    )
    rule = tmp_path / "policies/scopebound/deny/data_limit_exceeded.rego"
    rule.write_text(
        'package scopebound.deny\n\nviolation contains {"code": 5} if input.call_args.limit == 1\n'
    )
    report = tests.run(folder.read(sources.folder))
    assert [case.outcome for case in report.cases] == ["error", "passed"]
    assert report.cases[0].message == "violation 1 lacks reason, retry_guidance, severity"


def test_facts_that_do_not_fit_are_findings(tmp_path: Path) -> None:
    sources = shipped_with(tmp_path, "- {name: x, input: {tool: 1}, expect: allow}\n")
    with pytest.raises(FindingsError) as caught:
        tests.run(sources)
    assert {(found.file, found.line) for found in caught.value.findings} == {
        ("wrong_cases.yaml", 1)
    }
