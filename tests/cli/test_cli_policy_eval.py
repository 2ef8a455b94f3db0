"""`policy eval` and `policy explain` on the shipped policies, a bundle, and a recorded decision."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.cli.policy import policy
from scopebound_engine.config import SHIPPED
from tests.api.clocked import Service, clocked_service
from tests.author.test_author_compared import call

POLICIES = SHIPPED / "policies"


def facts(**args: Any) -> dict[str, Any]:
    document = call("above", args)
    document["claims"]["data_scope"] = {"allowed_envs": ["prod"], "max_rows": 1_000}
    return document


def run(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(policy, [*map(str, arguments)], input=stdin)


def given(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bundle") / "b.tar.gz"
    file.write_bytes(archive.write(build(POLICIES, SHIPPED / "manifest.json")))
    return file


def test_facts_are_decided() -> None:
    allowed = run("eval", POLICIES, "-i", "-", stdin=given(facts()))
    assert (allowed.exit_code, allowed.stdout) == (0, "ALLOW\n")
    denied = run("eval", POLICIES, "-i", "-", stdin=given(facts(env="dev")))
    assert denied.exit_code == 0
    assert denied.stdout == (
        "DENY\n"
        '  ENV_VIOLATION (high)  env "dev" is not in allowed_envs ["prod"]\n'
        "    retry_guidance: change_args\n"
        f"  ENV_VIOLATION: {POLICIES}/scopebound/deny/env_violation.rego:15\n"
    )


def test_a_bundle_decides_alike(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_bytes(given(facts(limit=5_000)))
    documents = [
        json.loads(run("eval", by, "-i", file, "--json").stdout) for by in (POLICIES, bundle)
    ]
    assert documents[0] == documents[1]
    (violation,) = documents[0]["violations"]
    assert violation["rules"] == ["scopebound/deny/data_limit_exceeded.rego:15"]
    assert violation["retry_guidance"] == "change_args"


def test_another_rule_can_be_asked() -> None:
    result = run(
        *("eval", POLICIES, "-i", "-", "--entrypoint", "scopebound/facts/tool_granted"),
        stdin=given(facts()),
    )
    assert (result.exit_code, result.stdout) == (0, "true\n")
    missing = run("eval", POLICIES, "-i", "-", "--entrypoint", "a/b", stdin=given(facts()))
    assert missing.exit_code == 2
    assert "there is no rule a.b" in missing.stderr


def test_what_is_expected_is_for_scripts() -> None:
    asked = ("eval", POLICIES, "-i", "-", "--expect", "deny")
    assert run(*asked, stdin=given(facts())).exit_code == 1
    assert run(*asked, stdin=given(facts(env=1))).exit_code == 0


def test_unfit_facts_are_told_with_their_place() -> None:
    document = facts()
    document["now"]["hour"] = "8"
    result = run("eval", POLICIES, "-i", "-", stdin=given(document))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "standard input is no facts document" in result.stderr
    assert "/now/hour is a string (expected: integer. 0 to 23.)" in result.stderr


@pytest.mark.parametrize("data", [b"", b"[", b"\xff\xfe", b'{"action":1,"action":2}'])
def test_what_is_no_json_is_a_failure(data: bytes) -> None:
    assert run("explain", POLICIES, "-i", "-", stdin=data).exit_code == 2


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    missing = run("eval", POLICIES, "-i", tmp_path / "none.json")
    assert (missing.exit_code, "none.json cannot be read" in missing.stderr) == (2, True)
    empty = run("eval", tmp_path, "-i", "-", stdin=given(facts()))
    assert (empty.exit_code, "holds no .rego file" in empty.stderr) == (2, True)
    assert run("explain", POLICIES).exit_code == 2
    assert run("explain", tmp_path / "none", "-i", "-").exit_code == 2
    assert run("explain", "no-uuid").exit_code == 2


def test_a_denial_is_explained() -> None:
    result = run("explain", POLICIES, "-i", "-", stdin=given(facts(limit=5_000)))
    assert result.exit_code == 0, result.output
    lines = result.stdout.split("\n")
    fired = f"fired  DATA_LIMIT_EXCEEDED  {POLICIES}/scopebound/deny/data_limit_exceeded.rego:15"
    assert lines[:4] == [
        "DENY",
        "  DATA_LIMIT_EXCEEDED (high)  limit is 5000; a whole number from 1 to 1000 is allowed",
        "    retry_guidance: change_args",
        "",
    ]
    assert lines[4] == fired
    assert "      input.call_args.limit = 5000" in lines
    assert any(line.strip().endswith("limit <= most") for line in lines)
    assert "  → set call_args.limit to 1000 (it is 5000)" in lines
    assert any("did not fire" in line for line in lines)
    assert "\x1b" not in result.stdout


def test_an_allow_is_explained_by_what_nearly_fired() -> None:
    result = run("explain", POLICIES, "-i", "-", "--all", stdin=given(facts(limit=1_000)))
    assert result.exit_code == 0
    assert result.stdout.startswith("ALLOW\n")
    assert result.stdout.count("did not fire") == 13
    assert "would be allowed" not in result.stdout


def test_an_explanation_is_json_for_programs(bundle: Path) -> None:
    result = run("explain", bundle, "-i", "-", "--json", stdin=given(facts(env="dev")))
    told = json.loads(result.stdout)
    assert told["decision"] == "deny"
    (rule,) = told["fired"]
    assert (rule["file"], rule["line"]) == ("scopebound/deny/env_violation.rego", 15)
    assert told["counterfactual"]["smallest"]["call"]["call_args"] == {"env": "prod"}
    quick = run("explain", bundle, "-i", "-", "--json", "--no-change", stdin=given(facts(env=1)))
    assert json.loads(quick.stdout)["counterfactual"] is None


def test_foreign_text_does_nothing_to_a_terminal() -> None:
    document = facts(env="\x1b[31m\nred", **{"\x1b[2J": 1})
    result = run("explain", POLICIES, "-i", "-", "--all", stdin=given(document))
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout


def test_policies_that_cannot_decide_are_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\nimport rego.v1\n\nb := input.c\n")
    manifest = {"name": "a", "version": "1.0.0", "entrypoint": "a/b", "deny_codes": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for command in ("eval", "explain"):
        result = run(command, tmp_path, "-i", "-", stdin=given(facts()))
        assert (result.exit_code, result.stdout) == (2, "")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with clocked_service(tmp_path_factory.mktemp("node"), None) as made:
        yield made


def test_a_recorded_decision_is_explained_by_its_bundle(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEBOUND_DATA_DIR", str(service.services.config.data_dir))
    agent = service.session(service.role("read", log_mask=["/call_args/iban"]))
    denied, masked = agent.call("raed"), agent.call("raed", {"iban": "DE1"})
    result = run("explain", denied["decision_id"])
    assert result.exit_code == 0, result.output
    assert 'call "read", which the role has' in result.stdout
    refused = run("explain", masked["decision_id"])
    assert refused.exit_code == 2
    assert "cannot be made again: masked" in refused.stderr
