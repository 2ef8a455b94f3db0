from pathlib import Path

import pytest

from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.gate import gate
from scopebound_engine.errors import GateError
from tests.bundle.gate_samples import (
    FILES,
    MAIN,
    NEXT,
    TOOL,
    added,
    bundle,
    changed,
    demanding,
    shipped_files,
    verified,
)

UNUSED = "unused if input.action\n"


def test_the_shipped_policies_pass_without_a_word() -> None:
    report = gate.require(verified(shipped_files()))
    assert report.findings == ()
    assert [step for step, _ in report.timings] == [*gate.GATE, "10 tests"]
    assert all(seconds >= 0 for _, seconds in report.timings)


def test_what_is_acknowledged_is_a_warning_and_passes() -> None:
    report = gate.require(bundle(), acknowledge_floor=True)
    assert {finding.step for finding in report.warnings} == {"floor"}
    assert report.errors == ()


def test_the_gate_takes_a_bundle_from_a_folder_of_policies(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    files = build(tmp_path, tmp_path / "manifest.json")
    assert gate.check(verified(files), acknowledge_floor=True).errors == ()


def test_all_findings_of_all_steps_come_at_once_with_their_places() -> None:
    subject = added(
        'x if input.tool == max(input.call_args.l)\ny if { not input.call_id == "1" }\n'
    )
    report = gate.check(subject)
    assert [(item.step, item.line, item.column) for item in report.errors] == [
        ("plan", NEXT, 6),
        ("built-ins", NEXT, 20),
        ("shapes", NEXT + 1, 8),
    ]
    assert [(item.step, item.line) for item in report.warnings] == [
        ("denials", NEXT),
        ("denials", NEXT + 1),
    ]
    with pytest.raises(GateError) as caught:
        gate.require(subject)
    assert caught.value.findings == report.findings
    assert f"shop/deny/amount.rego:{NEXT}:6: there is no input.tool" in str(caught.value)


def test_what_cannot_be_parsed_ends_the_gate_with_all_parse_errors() -> None:
    files = {"shop/main.rego": MAIN + "x := := 1\n", "shop/deny/tool.rego": TOOL + "y { true }\n"}
    report = gate.check(bundle(**files))
    assert {(item.step, item.file) for item in report.findings} == {
        ("parse", "shop/main.rego"),
        ("parse", "shop/deny/tool.rego"),
    }
    assert [step for step, _ in report.timings] == ["3 source", "9 rules", "9 sizes", "4 parse"]


def test_a_test_of_the_bundle_that_fails_is_found_with_its_expression() -> None:
    subject = changed("shop/deny/deny_test.rego", "90000", "6")
    (found,) = gate.check(subject, acknowledge_floor=True).errors
    assert (found.step, found.file, found.line) == ("tests", "shop/deny/deny_test.rego", 16)
    assert "not shop.decision.allow with input as" in found.message


def test_tests_may_be_written_in_forms_that_only_running_them_mends() -> None:
    more = "test_nothing if not shop.decision.allow with input as {}\n"
    more += "test_pairs if count({k | some k, v in call.claims; count(v) == 1}) == 1\n"
    report = gate.check(added(more, "shop/deny/deny_test.rego"), acknowledge_floor=True)
    assert report.errors == ()


def test_what_is_no_rego_in_tests_is_found_beside_such_forms() -> None:
    more = "test_nothing if not shop.decision.allow with input as {}\ntest_x if := 1\n"
    found = gate.check(added(more, "shop/deny/deny_test.rego"), acknowledge_floor=True).errors
    assert {(item.step, item.file) for item in found} == {("parse", "shop/deny/deny_test.rego")}


def test_a_test_that_refers_to_what_is_not_there_is_found() -> None:
    subject = added("test_x if shop.decison.allow with input as call\n", "shop/deny/deny_test.rego")
    (found,) = gate.check(subject, acknowledge_floor=True).errors
    assert (found.file, found.line) == ("shop/deny/deny_test.rego", 18)


def test_more_findings_than_anybody_reads_are_counted_and_none_is_forgotten() -> None:
    unused = "".join(f"unused{n} if input.action\n" for n in range(400))
    found = gate.check(added(unused)).findings
    assert {finding.level for finding in found[:-1]} == {"warning"}
    assert len(found) == 301
    assert (found[-1].message.endswith(" findings more"), found[-1].level) == (True, "error")


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ({"min_tests": 3}, "thresholds: min_tests is 3, and there are 2"),
        ({"max_skipped_tests": 0}, "thresholds: max_skipped_tests is 0, and there are 1"),
        ({"max_warnings": 0}, "thresholds: max_warnings is 0, and there are 1"),
        ({"max_rules": 8}, "9 rules; more than 8 are refused"),
    ],
)
def test_a_bundle_is_held_to_its_own_thresholds(thresholds: dict[str, int], said: str) -> None:
    more = {
        "shop/deny/more_test.rego": "package shop.more_test\n\ntodo_test_x if false\n",
        "shop/deny/amount.rego": FILES["shop/deny/amount.rego"] + UNUSED,
    }
    manifest = demanding(**thresholds).files["manifest.json"].decode()
    found = gate.check(bundle(**more, **{"manifest.json": manifest}), acknowledge_floor=True)
    assert [finding.message for finding in found.errors] == [said]


def test_thresholds_that_are_kept_are_no_finding() -> None:
    kept = demanding(min_tests=2, max_skipped_tests=0, max_rules=8, max_warnings=0)
    assert gate.check(kept, acknowledge_floor=True).errors == ()
