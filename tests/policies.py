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
