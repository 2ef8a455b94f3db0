"""What a folder of policies holds, as far as it can be read; every command reads folders with it.

A folder that is being worked on is seldom whole: what cannot be read is a finding, and the rest is
there all the same. `problems` leave out policy or data, so that only `check` goes on beside them;
`unfit` only keeps the folder from being built into a bundle.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from scopebound_engine.bundle.format import build, content
from scopebound_engine.bundle.format.archive import DATA
from scopebound_engine.bundle.format.manifest import FILE, OPA_FILE, Manifest
from scopebound_engine.errors import (
    BundleError,
    ConfigError,
    Finding,
    FindingsError,
    ManifestError,
)


@dataclass(frozen=True)
class Sources:
    """The policies of a folder.

    `modules` is Rego source, tests too, by its path in the folder, which is that in a bundle
    (`scopebound/main.rego`). `files` holds the bytes of all that was read, `manifest.json` among
    them wherever it lies, `paths` where each is. `case_files` are `*_cases.yaml`, not yet read.
    `manifest` is None where there is none or it is wrong, which `unfit` then says.
    """

    folder: Path
    files: Mapping[str, bytes]
    paths: Mapping[str, Path]
    modules: Mapping[str, str]
    data: Mapping[str, Any]
    manifest: Manifest | None
    case_files: Mapping[str, Path]
    problems: tuple[Finding, ...] = ()
    unfit: tuple[Finding, ...] = ()

    @cached_property
    def rules(self) -> dict[str, str]:
        """The modules without `*_test.rego`: what a server evaluates."""
        return {
            path: text for path, text in self.modules.items() if not path.endswith(content.TEST)
        }

    def path(self, name: str) -> str:
        """Where a file lies that a finding names, as somebody in this folder would open it."""
        known = self.paths.get(name) or self.case_files.get(name)
        here = self.folder / name
        # What was not read may be there all the same, a link to nowhere too.
        return str(known or (here if os.path.lexists(here) else name))

    def line(self, name: str, number: int) -> str | None:
        """A line of a file, without its end; None where there is none."""
        if name not in self.files:
            return None
        lines = self.files[name].decode("utf-8", "replace").split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else None

    def sound(self) -> Self:
        """Itself. Raises FindingsError where a part of the policies or data could not be read."""
        if self.problems:
            raise FindingsError(f"not all of {self.folder} can be read", self.problems)
        return self

    def require_manifest(self) -> Manifest:
        """The manifest. Raises ManifestError."""
        if self.manifest is None:
            found = [item for item in self.unfit if Path(item.file).name in {FILE, OPA_FILE}]
            what = f"{self.folder} has no {FILE}, in it or beside it"
            remedy = "write one (name, version, entrypoint, deny_codes) or name it with --manifest"
            missing = Finding("manifest", what, remedy=remedy)
            raise ManifestError("the manifest is not usable", found or [missing])
        return self.manifest


def read(folder: Path, manifest_file: Path | None = None) -> Sources:
    """What the folder holds. `manifest_file` lies in or beside it unless named.

    Raises ConfigError where there is no such folder, or not one rule in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; name the one that holds the .rego files.")
    beside = manifest_file or build.manifest_beside(folder)
    found = build.gather(folder, beside if manifest_file or beside.exists() else None)
    problems, unfit = _sorted(folder, found)
    modules = _modules(found.files, problems)
    if not modules and not problems:
        raise ConfigError(f"{folder} holds no .rego file; name the folder that the rules are in.")
    return Sources(
        folder,
        found.files,
        found.paths,
        modules,
        content.data(found.files),
        _manifest(found.files, unfit),
        _case_files(folder),
        tuple(problems),
        tuple(unfit),
    )


def _sorted(folder: Path, found: build.Gathered) -> tuple[list[Finding], list[Finding]]:
    """Those of what would be policy or data but was not read, and the others."""
    problems: list[Finding] = []
    unfit: list[Finding] = []
    for finding in found.findings:
        path = Path(finding.file)
        is_policy = path.suffix == content.MODULE or path.name == DATA or path.is_dir()
        # Editors and desktops leave files with a dot behind; some end in .rego.
        lost = is_policy and not path.name.startswith(".") and path not in found.paths.values()
        inside = path != folder and path.is_relative_to(folder)
        name = path.relative_to(folder).as_posix() if inside else finding.file
        (problems if lost else unfit).append(replace(finding, file=name))
    return problems, unfit


def _modules(files: Mapping[str, bytes], problems: list[Finding]) -> dict[str, str]:
    try:
        content.check(files)
    except BundleError as error:
        problems += error.findings
    broken = {finding.file for finding in problems}
    return content.modules(
        {name: data for name, data in files.items() if name not in broken}, tests=True
    )


def _manifest(files: Mapping[str, bytes], unfit: list[Finding]) -> Manifest | None:
    if FILE not in files and OPA_FILE not in files:
        return None
    try:
        return Manifest.of(files)
    except ManifestError as error:
        unfit += error.findings
        return None


def _case_files(folder: Path) -> dict[str, Path]:
    found = sorted(folder.rglob(f"*{build.CASES}"))
    return {path.relative_to(folder).as_posix(): path for path in found}
