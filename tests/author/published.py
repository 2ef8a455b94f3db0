"""Policies that others have published, made ready to stand in a bundle of ours.

They are those of ScubaGoggles (https://github.com/cisagov/ScubaGoggles, CC0-1.0), which judges how
Google Workspace is configured: written for OPA, by people who know nothing of this engine. They are
read from the installed package and changed here by a program: none of them is copied.
"""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = "scubagoggles"
# What the engine cannot take, as they have it and as it can be written. `check` says so of each.
MENDED: Final = {
    "chat": {"some i, Status in NonCompBooleans;": "some i; Status := NonCompBooleans[i];"},
    "commoncontrols": {
        "| some Index, _ in Segments": "| some Index; Segments[Index]",
        "| some key, value in Takeout": "| some key; value := Takeout[key]",
        " with data.EventName as EventName": "",
    },
    "gmail": {"consequence = settings": "consequence := settings"},
    "utils": {" with data.LogName as LogName": ""},
}
# Functions of one name that take other arguments in other packages end the engine.
RENAMED: Final = {
    "commoncontrols": ("FilterEvents", "FilterEventsOU", "FilterEventsGroup"),
    "drive": ("NonComplianceMessage3_1", "GetFriendlyValue5_1"),
    "groups": ("NonComplianceMessage4_1",),
}


def published() -> dict[str, str]:
    """The policies as they are published, by name.

    `make test` installs them; where they are not the test is skipped.
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"needs: pip install --no-deps {PACKAGE}")
    folder = Path(str(package.locate_file(f"{PACKAGE}/rego")))
    return {path.stem.lower(): path.read_text() for path in sorted(folder.glob("*.rego"))}


def framed(policies: Mapping[str, str]) -> dict[str, str]:
    """The policies as files of a bundle, by path, each with a deny rule that heeds it.

    They find what they judge, the configuration, among a call's arguments.
    """
    files = {}
    for name, text in policies.items():
        theirs = re.sub(r"\binput\.", "input.call_args.", text)
        theirs = re.sub(r"^package ", "package published.", theirs, flags=re.M)
        theirs = re.sub(r"^import data\.", "import data.published.", theirs, flags=re.M)
        files[f"published/{name}.rego"] = theirs.rstrip("\n") + "\n"
        if "\ntests contains " in text:
            files[f"shop/deny/{name}.rego"] = DENIAL.format(name=name, code=code(name))
    return files


def code(name: str) -> str:
    """The deny code of a policy."""
    return f"{name.upper()}_UNMET"


def mended(policies: Mapping[str, str]) -> dict[str, str]:
    """The policies without what the engine cannot take."""
    return {name: _mended(name, text) for name, text in policies.items()}


def _mended(name: str, text: str) -> str:
    for theirs, ours in MENDED.get(name, {}).items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    # The engine reads what is computed before the bar, on the line that it begins on.
    text = re.sub(r"\n\s*\| some", " | some", text)
    for function in RENAMED.get(name, ()):
        text = re.sub(rf"(?<![.\w]){function}\(", f"{function}_{name}(", text)
    return text


DENIAL: Final = """# METADATA
# title: What {name} asks for is not met
# description: A requirement of the published policy is not met by the configuration of the call.
# custom:
#   code: {code}
#   severity: high
package shop.deny

import rego.v1

import data.published.{name}

violation contains {{
	"code": "{code}",
	"severity": "high",
	"reason": "the configuration does not meet the published policy",
	"retry_guidance": "change_args",
}} if {{
	some test in {name}.tests
	test.RequirementMet == false
}}
"""
