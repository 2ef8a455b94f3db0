"""`check` on policies with one fault each, and on what concerns a folder as a whole."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.checking.check import Report, check
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import Finding
from tests.author.broken_policies import COMPILE, PARSE, SOURCE, TOGETHER, Fault
from tests.author.frames import MAIN, TOOL, declared, written

GROUPS = {"source": SOURCE, "parse": PARSE, "compile": COMPILE, "together": TOGETHER}
FAULTS = [(group, fault) for group, faults in GROUPS.items() for fault in faults]
# What belongs to some of the faults: data over a rule.
DATA = {"shop/config/data.json": '{"limit": 5}', "shop/deny/data.json": '{"replaced_rule": 5}'}


def looked_at(place: Path, files: dict[str, str]) -> Report:
    return check(folder.read(written(place, files)), acknowledge_floor=True)


def said(report: Report) -> list[str]:
    told = (item for item in report.findings if item.step != "floor")
    return [f"{item.file}:{item.line} {item.message}" for item in told]


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """All findings by file, each group of faults checked at once."""
    found: dict[str, list[Finding]] = {}
    for group, faults in GROUPS.items():
        report = looked_at(tmp_path_factory.mktemp(group), {**DATA, **_files(faults)})
        for finding in report.findings:
            found.setdefault(finding.file, []).append(finding)
    return found


def _files(faults: Sequence[Fault]) -> dict[str, str]:
    manifest = declared([(fault.code, "low") for fault in faults if fault.declared])
    return {"manifest.json": manifest, **{fault.file: fault.text for fault in faults}}


def _names() -> Iterator[str]:
    return (fault.name for _, fault in FAULTS)


@pytest.mark.parametrize("fault", [fault for _, fault in FAULTS], ids=_names())
def test_a_fault_is_found_at_its_line_and_nothing_else(
    fault: Fault, findings: dict[str, list[Finding]]
) -> None:
    (found,) = findings.get(fault.file, ())
    assert (found.line, fault.words in found.message) == (fault.line, True), str(found)
    assert found.remedy
    assert 1 <= found.column <= len(fault.text.split("\n")[found.line - 1]) + 1


def test_nothing_is_found_in_the_sound_files_beside_them(
    findings: dict[str, list[Finding]],
) -> None:
    assert findings.keys() == {fault.file for _, fault in FAULTS}


def test_there_are_enough_faults_to_speak_of() -> None:
    assert len(FAULTS) >= 75
    assert len({fault.words for _, fault in FAULTS}) >= 40


def test_the_shipped_policies_are_fine() -> None:
    report = check(folder.read(SHIPPED / "policies"))
    assert (report.findings, report.left_out) == ((), ())
    print(f"check of the shipped policies: {report.seconds:.2f} s")


def test_a_folder_without_a_manifest_is_checked_as_far_as_that_goes(tmp_path: Path) -> None:
    fault = next(fault for fault in TOGETHER if fault.name == "unknown_input")
    place = written(tmp_path, {fault.file: fault.text})
    (place / "manifest.json").unlink()
    report = check(folder.read(place))
    assert said(report) == [f"{fault.file}:{fault.line} there is no input.tool"]
    assert [why.split(":")[0] for why in report.left_out] == [
        "declared codes, matchers, and verdicts on typical and hostile calls"
    ]


def test_a_wrong_manifest_is_told_and_the_rest_is_checked(tmp_path: Path) -> None:
    report = looked_at(tmp_path, {"manifest.json": '{"name": "Shop!"}'})
    assert {item.file for item in report.findings} == {"manifest.json"}
    assert len(report.findings) == 4
    assert len(report.left_out) == 1


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"entrypoint": "shop/decison"}, "no rule defines the entrypoint shop/decison"),
        (
            {"deny_codes": [{"code": "NEVER", "severity": "low", "description": "x"}]},
            "the manifest does not declare TOOL_CLOSED",
        ),
        ({"matchers": {"m": {"path": "tool_name", "regex": ["("]}}}, "matchers.m"),
    ],
)
def test_a_manifest_that_does_not_fit_the_rules(
    tmp_path: Path, manifest: dict[str, object], message: str
) -> None:
    report = looked_at(tmp_path, {"manifest.json": declared([], **manifest)})
    assert any(message in item.message for item in report.errors), said(report)


def test_a_policy_that_allows_too_much_is_found_by_asking_it(tmp_path: Path) -> None:
    shortcut = 'decision := {"allow": true, "violations": []} if not input.tool_name else := {'
    always = MAIN.replace("decision := {", shortcut)
    report = check(folder.read(written(tmp_path, {"shop/main.rego": always})))
    messages = [item.message for item in report.errors]
    assert "an empty input is allowed" in messages
    assert any(message.startswith("the policy allows ") for message in messages)


def test_a_policy_that_never_ends_is_found_in_time(tmp_path: Path) -> None:
    looping = 'package shop.deny\n\nloop := replace("a", "", "b")\n'
    began = time.monotonic()
    report = check(folder.read(written(tmp_path, {"shop/deny/loop.rego": looping})), seconds=5)
    assert any("replace" in item.message for item in report.errors)
    assert time.monotonic() - began < 20


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    place = written(tmp_path, {"shop/deny/more.rego": "package shop.deny\n\nx := := 1\n"})
    (place / "shop/deny/latin.rego").write_bytes(b"package shop.deny\n\n# caf\xe9\n")
    report = check(folder.read(place))
    assert said(report) == [
        "shop/deny/latin.rego:3 not UTF-8",
        "shop/deny/more.rego:3 Invalid assignment operator",
    ]


def test_what_a_bundle_would_refuse_is_an_error_only_where_one_is_meant(tmp_path: Path) -> None:
    place = written(tmp_path, {"README.md": "# Rules\n"})
    assert [item.file for item in check(folder.read(place), acknowledge_floor=True).errors] == [
        "README.md"
    ]
    (place / "manifest.json").unlink()
    report = check(folder.read(place))
    assert (report.errors, [item.file for item in report.warnings]) == ((), ["README.md"])


def test_what_many_rules_of_a_file_lack_is_told_once(tmp_path: Path) -> None:
    rules = TOOL.split("violation contains")[1]
    bare = "package shop.deny\n\nimport data.shop\n" + f"\nviolation contains{rules}" * 3
    about = bare.replace("package", "# METADATA\n# title: x\n# description: y\npackage")
    report = looked_at(tmp_path, {"shop/deny/a.rego": bare, "shop/deny/b.rego": about})
    assert said(report) == [
        "shop/deny/a.rego:5 a rule that denies has no METADATA",
        "shop/deny/b.rego:1 the METADATA has no custom.code",
        "shop/deny/b.rego:1 the METADATA has no custom.severity",
    ]


def test_what_needs_the_unread_file_is_no_finding(tmp_path: Path) -> None:
    place = written(tmp_path, {})
    (place / "shop/deny/tool.rego").write_bytes(b"package shop.deny\n\n# caf\xe9\n")
    report = check(folder.read(place))
    assert said(report) == ["shop/deny/tool.rego:3 not UTF-8"]
    assert report.left_out[0].startswith("all that needs the files that cannot be read")


def test_thresholds_of_the_manifest_bound_the_warnings(tmp_path: Path) -> None:
    bound = {"manifest.json": declared([], thresholds={"max_warnings": 0})}
    idle = {"shop/deny/idle.rego": "package shop.deny\n\nimport data.shop\n"}
    report = looked_at(tmp_path, bound | idle)
    assert [item.message for item in report.errors] == [
        "thresholds: max_warnings is 0, and there are 1"
    ]


def test_a_thousand_rules_are_checked_in_bearable_time(tmp_path: Path) -> None:
    rules = "".join(f"r{n} if input.call_args.x == {n}\n" for n in range(1_100))
    report = looked_at(tmp_path, {"shop/deny/many.rego": f"package shop.deny\n\n{rules}"})
    assert [item.message for item in report.errors] == ["1105 rules; more than 1000 are refused"]


def test_reports_are_the_same_from_whatever_folder_they_are_asked(tmp_path: Path) -> None:
    place = written(tmp_path, {"shop/deny/x.rego": "package shop.deny\n\nx if input.tool\n"})
    relative = Path(os.path.relpath(place))
    assert check(folder.read(place)).findings == check(folder.read(relative)).findings
    json.dumps([str(item) for item in check(folder.read(place)).findings])
