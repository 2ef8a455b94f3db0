"""From sources to the files of a bundle, not yet signed: a folder of policies and a manifest.

Nothing but what stays with its author is passed over: what has no place in a bundle is refused by
name, so that a rule in a misspelled file cannot be missing from what is shipped.
"""

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scopebound_engine.bundle.format import archive, content, manifest
from scopebound_engine.bundle.format.envelope import SIGNATURES
from scopebound_engine.errors import BundleError, Finding

# What stays with the author: case files beside the rules that they are about, and at the top of the
# folder the list of mutants that no test can kill.
CASES: Final = "_cases.yaml"
EQUIVALENTS: Final = "equivalents.yaml"
_LEFTOVERS: Final = (".DS_Store", "._*", "*.swp", "*.swo", "*~", "[#]*[#]", ".[#]*", "*.orig")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What lies in a folder: files by their name in a bundle, where each is, what is in the way."""

    files: dict[str, bytes]
    paths: dict[str, Path]
    findings: list[Finding]


def build(policies: Path, manifest_file: Path) -> dict[str, bytes]:
    """The files of the bundle by name (`scopebound/main.rego`), `manifest.json` among them.

    `manifest_file` may lie at the top of the folder or anywhere else. Raises BundleError with a
    finding for every file that cannot be part of it, and ManifestError.
    """
    found = gather(policies, manifest_file)
    if found.findings:
        raise BundleError(f"{policies} cannot be made a bundle", found.findings)
    manifest.Manifest.of(found.files)
    content.check(found.files)
    return dict(sorted(found.files.items()))


def manifest_beside(policies: Path) -> Path:
    """Where the manifest of a folder lies unless one is named: in it, or else beside it."""
    inside = policies / manifest.FILE
    return inside if inside.exists() else policies.absolute().parent / manifest.FILE


def gather(policies: Path, manifest_file: Path | None) -> Gathered:
    """The files that a bundle may hold, and a finding for every other but those of its
    author.

    Modules are among them even where a bundle refuses their name. Without a `manifest_file` no
    manifest is asked for.
    """
    findings: list[Finding] = []
    sources = {} if manifest_file is None else {manifest_file: manifest.FILE}
    for path in _walk(policies, findings):
        if manifest_file is None or _place(path) != _place(manifest_file):
            sources[path] = path.relative_to(policies).as_posix()
    found = Gathered({}, {}, findings)
    for path, name in sources.items():
        if not name.endswith(CASES) and name != EQUIVALENTS:
            _gather_one(path, name, manifest_file, found)
    return found


def _gather_one(path: Path, name: str, manifest_file: Path | None, found: Gathered) -> None:
    problem = _problem(path, name, manifest_file)
    if problem is not None:
        found.findings.append(problem)
        return
    for refused in archive.refusals([name]):
        found.findings.append(_finding(path, refused.message, refused.remedy))
        if not name.endswith(content.MODULE):
            return
    try:
        found.files[name] = path.read_bytes()
        found.paths[name] = path
    except OSError as error:
        found.findings.append(_unreadable(path, error))


def _walk(folder: Path, findings: list[Finding]) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        findings.append(_unreadable(folder, error))
        return
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _walk(entry, findings)
        else:
            yield entry


def _place(path: Path) -> Path:
    """The path, the same however it is spelled; a link is a place of its own."""
    return path.parent.resolve() / path.name


def _problem(path: Path, name: str, manifest_file: Path | None) -> Finding | None:
    if path.is_symlink():
        return _finding(path, "a symbolic link", "put the file itself there")
    if path.exists() and not path.is_file():
        return _finding(path, "not a file", "take it out of the folder")
    if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in _LEFTOVERS):
        return _finding(path, "left behind by an editor or the desktop", "delete it")
    if name == SIGNATURES:
        return _finding(path, "made by signing, not a source", "delete it")
    if name == manifest.FILE and manifest_file is not None and path != manifest_file:
        return _finding(path, f"a second manifest beside {manifest_file}", "keep one of them")
    return None


def _unreadable(path: Path, error: OSError) -> Finding:
    remedy = "check its path and who may read it"
    return _finding(path, f"cannot be read: {error.strerror}", remedy)


def _finding(path: Path, message: str, remedy: str) -> Finding:
    return Finding("build", message, file=str(path), remedy=remedy)
