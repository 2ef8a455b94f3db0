"""Bundles for servers of tests: the shipped rules, or those and one that denies a marked call.

They carry no tests of their own, so that the gate is quick.
"""

import json
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.signature import SIGNATURES, sign
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.config import SHIPPED
from scopebound_engine.preparation import BUNDLE_KEY_FILE

MARKED = "marked"
MARKED_CODE = "MARKED_CALL"
_MARKED_RULE = b"""# METADATA
# title: Marked call
# description: Denies one tool, whoever calls it.
package scopebound.deny

import rego.v1

violation contains {
	"code": "MARKED_CALL",
	"severity": "low",
	"reason": "the tool is marked",
	"retry_guidance": "none",
} if {
	input.tool_name == "marked"
}
"""


def server_key(data_dir: Path) -> SigningKey:
    """The key of a server's first start, which it trusts."""
    return SigningKey.read(data_dir / BUNDLE_KEY_FILE)


def bundle_files(version: str, *, denies: bool) -> dict[str, bytes]:
    """The files of a bundle that denies calls of MARKED, or has no rule for them; not signed."""
    files = dict(_shipped())
    manifest = json.loads(files["manifest.json"]) | {"version": version}
    if denies:
        manifest["deny_codes"].append(
            {"code": MARKED_CODE, "severity": "low", "description": "The tool is marked"}
        )
        files["scopebound/deny/marked_call.rego"] = _MARKED_RULE
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def quick_policies(folder: Path) -> Path:
    """The shipped policies without their tests, for a first start that is not a template's copy."""
    for name, content in _shipped().items():
        file = folder / name if name == "manifest.json" else folder / "policies" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder / "policies"


def make_bundle(key: SigningKey, version: str, *, denies: bool) -> bytes:
    """A signed archive of these files."""
    return packed(key, bundle_files(version, denies=denies))


def packed(key: SigningKey, files: dict[str, bytes]) -> bytes:
    """The archive of these files, signed."""
    return archive.write({**files, SIGNATURES: sign(files, key)})


@dataclass(frozen=True)
class Change:
    """An activation as answered; `begun` and `ended` are times of `time.monotonic()`."""

    begun: float
    ended: float
    id: str
    generation: int
    checksum: str
    denies: bool
    answer: dict[str, Any]


def upload(http: httpx.Client, data: bytes, *, denies: bool) -> Change:
    """Put a bundle in force by its upload."""
    return _change(http, "upload", data, denies)


def roll_back(http: httpx.Client, bundle_id: str, *, denies: bool) -> Change:
    """Put a former bundle in force again."""
    return _change(http, f"rollback/{bundle_id}", b"", denies)


def _change(http: httpx.Client, path: str, data: bytes, denies: bool) -> Change:
    begun = time.monotonic()
    response = http.post(f"/mgmt/v1/bundles/{path}", content=data)
    ended = time.monotonic()
    assert response.status_code == 200, response.text
    answer = response.json()
    bundle_id = answer["id"] if "id" in answer else answer["version_id"]
    generation, checksum = answer["generation"], answer["checksum"]
    return Change(begun, ended, bundle_id, generation, checksum, denies, answer)


@cache
def _shipped() -> dict[str, bytes]:
    files = build(SHIPPED / "policies", SHIPPED / "manifest.json")
    return {name: content for name, content in files.items() if not name.endswith("_test.rego")}
