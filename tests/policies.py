"""Policies for tests: the shipped ones, changed."""

import json
import shutil
from pathlib import Path


def with_rule(shipped: Path, target: Path, code: str, source: str, severity: str = "low") -> Path:
    """A copy of the shipped policies with one more deny rule, declared in its manifest.

    Returns the policies folder; the manifest lies beside it.
    """
    shutil.copytree(shipped / "policies", target / "policies")
    manifest = json.loads((shipped / "manifest.json").read_text())
    manifest["deny_codes"].append(
        {"code": code, "severity": severity, "description": "a rule of a test"}
    )
    (target / "manifest.json").write_text(json.dumps(manifest))
    (target / "policies/scopebound/deny" / f"{code.lower()}.rego").write_text(source)
    return target / "policies"


def with_example(shipped: Path, target: Path, example: Path) -> Path:
    """A copy of the shipped policies with the files and declarations of an example.

    Returns the policies folder; the manifest lies beside it.
    """
    for source in (shipped, example):
        shutil.copytree(source / "policies", target / "policies", dirs_exist_ok=True)
    manifest = json.loads((shipped / "manifest.json").read_text())
    additions = json.loads((example / "manifest_additions.json").read_text())
    manifest["deny_codes"] += additions["deny_codes"]
    manifest["matchers"] |= additions["matchers"]
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target / "policies"
