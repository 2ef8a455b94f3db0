"""`bundle verify` and `inspect`: what a server would say of an archive, and what is in one."""

import json
from pathlib import Path

import pytest

from scopebound_engine.bundle.gate.gate import GATE
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.config import SHIPPED
from tests.cli.bundle_commands import MANIFEST, done, failed, refused, run
from tests.policies import with_rule

UNSEEN = """package scopebound.deny
import rego.v1
violation contains v if {
	input.nothing == 1
	v := {"code": "UNSEEN", "severity": "low", "reason": "", "retry_guidance": "none"}
}
"""


def shipped(work: Path) -> str:
    done("build", SHIPPED / "policies", "--key", "keys/bundle.key", "--out", "shipped.tgz")
    return "shipped.tgz"


def test_verify_says_what_was_checked_and_refuses_other_keys(work: Path) -> None:
    done("build", "policies", "--key", "keys/bundle.key", "--out", "b.tgz")
    said = done("verify", "b.tgz", "--trust", "keys/bundle.pem", "--signature-only")
    assert [line.split()[0] for line in said.splitlines()] == [
        "archive",
        "signature",
        "manifest",
        "checksum",
        "identity",
    ]
    done("keygen", "--out", "other")
    text = refused("verify", "b.tgz", "--trust", "other")
    assert "no trusted key is called" in text


def test_verify_without_a_key_to_trust_is_no_refusal(work: Path) -> None:
    done("build", "policies", "--key", "keys/bundle.key", "--out", "b.tgz")
    (work / "empty").mkdir()
    assert "no bundle can be trusted" in failed("verify", "b.tgz", "--trust", "empty")


def test_the_gate_passes_what_is_shipped_and_tells_what_each_step_took(work: Path) -> None:
    said = done("verify", shipped(work), "--trust", "keys/bundle.pem", "--timings")
    assert "\ngate       passed" in said
    _, _, timings = said.partition("\nseconds\n")
    rows = [line.split(maxsplit=1) for line in timings.splitlines()]
    assert [step for _, step in rows] == ["1 bytes, 2 signature", *GATE, "10 tests", "all"]
    seconds = [float(took) for took, _ in rows]
    assert sum(seconds[:-1]) == pytest.approx(seconds[-1], abs=0.02)


def test_verify_as_json_has_warnings_and_timings(work: Path) -> None:
    told = json.loads(done("verify", shipped(work), "--trust", "keys/bundle.pem", "--json"))
    assert told["version"] == "1.0.0"
    assert told["key_id"] == TrustedKeys.read(work / "keys").keys[0].key_id
    assert told["warnings"] == []
    assert [each["step"] for each in told["timings"]][1:-1] == list(GATE)


def test_findings_of_the_gate_are_lines_that_editors_understand(work: Path, tmp_path: Path) -> None:
    policies = with_rule(SHIPPED, tmp_path / "changed", "UNSEEN", UNSEEN)
    done("build", policies, "--key", "keys/bundle.key", "--out", "b.tgz")
    result = run("verify", "b.tgz", "--trust", "keys", "--json")
    assert result.exit_code == 1
    summary, *lines = result.stderr.splitlines()
    assert summary == "scopebound-engine: the bundle does not pass the gate"
    assert any(line.startswith("scopebound/deny/unseen.rego:4:") for line in lines)
    findings = json.loads(result.stdout)["findings"]
    assert {each["file"] for each in findings} == {"scopebound/deny/unseen.rego"}


def test_inspect_shows_what_is_there_and_that_nothing_is_verified(work: Path) -> None:
    done("build", "policies", "--key", "keys/bundle.key", "--out", "b.tgz")
    said = done("inspect", "b.tgz")
    assert "ES256; not verified" in said
    assert "SCOPE_VIOLATION  medium  not granted" in said
    assert "scopebound/main.rego" in said
    content = json.loads(done("inspect", "b.tgz", "--json"))
    assert content["version"] == "1.2.0"
    assert content["signature"]["key_id"] == TrustedKeys.read(work / "keys").keys[0].key_id
    assert {"name": "scopebound/main.rego", "bytes": 19} in content["files"]


def test_inspect_shows_an_unsigned_bundle_as_such(work: Path) -> None:
    done("build", "policies", "--out", "b.tgz")
    assert "no server will accept the bundle" in done("inspect", "b.tgz")
    assert json.loads(done("inspect", "b.tgz", "--json"))["signature"] is None


def test_foreign_text_cannot_drive_the_terminal(work: Path) -> None:
    evil = {"code": "MY_CODE", "severity": "low", "description": "\x1b[2J\x9b2J"}
    (work / "manifest.json").write_text(json.dumps({**MANIFEST, "deny_codes": [evil]}))
    done("build", "policies", "--out", "b.tgz")
    said = done("inspect", "b.tgz") + done("inspect", "b.tgz", "--json")
    assert "\\x1b[2J\\x9b2J" in said
    assert "\\u001b[2J\\u009b2J" in said
    assert "\x1b" not in said
    assert "\x9b" not in said
