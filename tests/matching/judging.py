"""A manifest with matchers, and what one of them says of a value."""

import json
from typing import Any

from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.matchers import Matchers


def manifest(matchers: Any) -> Manifest:
    document = {
        "name": "sample",
        "version": "1.0.0",
        "entrypoint": "a/b",
        "deny_codes": [{"code": "MY_CODE", "severity": "low", "description": "x"}],
        "matchers": matchers,
    }
    return Manifest.from_bytes(json.dumps(document).encode())


def judged(value: Any, **operator: Any) -> str:
    """What a matcher says of an argument."""
    matchers = Matchers.of(manifest({"m": {"path": "/call_args/v", **operator}}))
    return matchers.judge({"call_args": {"v": value}})["m"]
