"""From sources to the files of a bundle, not yet signed: a folder of policies and a manifest.

Nothing in the folder is passed over: what has no place in a bundle is refused by name, so that a
rule in a misspelled file cannot be missing from what is shipped.
"""

import fnmatch
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scopebound_engine.bundle.format import archive, content, manifest
from scopebound_engine.bundle.format.envelope import SIGNATURES
from scopebound_engine.errors import BundleError, Finding

_LEFTOVERS: Final = (".DS_Store", "._*", "*.swp", "*.swo", "*~", "[#]*[#]", ".[#]*", "*.orig")


def build(policies: Path, manifest_file: Path) -> dict[str, bytes]:
    """The files of the bundle by name (`scopebound/main.rego`), `manifest.json` among them.

    `manifest_file` may lie at the top of the folder or anywhere else. Raises BundleError with a
    finding for every file that cannot be part of it, and ManifestError.
    """
    findings: list[Finding] = []
    files: dict[str, bytes] = {}
    sources = {manifest_file: manifest.FILE}
    for path in _walk(policies, findings):
        if _place(path) != _place(manifest_file):
            sources[path] = path.relative_to(policies).as_posix()
    for path, name in sources.items():
        problem = _problem(path, name, manifest_file)
        if problem is not None:
            findings.append(problem)
            continue
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            findings.append(_unreadable(path, error))
    if findings:
        raise BundleError(f"{policies} cannot be made a bundle", findings)
    manifest.Manifest.of(files)
    content.check(files)
    return dict(sorted(files.items()))


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


def _problem(path: Path, name: str, manifest_file: Path) -> Finding | None:
    if path.is_symlink():
        return _finding(path, "a symbolic link", "put the file itself there")
    if path.exists() and not path.is_file():
        return _finding(path, "not a file", "take it out of the folder")
    if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in _LEFTOVERS):
        return _finding(path, "left behind by an editor or the desktop", "delete it")
    if name == SIGNATURES:
        return _finding(path, "made by signing, not a source", "delete it")
    if name == manifest.FILE and path != manifest_file:
        return _finding(path, f"a second manifest beside {manifest_file}", "keep one of them")
    refused = archive.refusals([name])
    return _finding(path, refused[0].message, refused[0].remedy) if refused else None


def _unreadable(path: Path, error: OSError) -> Finding:
    remedy = "check its path and who may read it"
    return _finding(path, f"cannot be read: {error.strerror}", remedy)


def _finding(path: Path, message: str, remedy: str) -> Finding:
    return Finding("build", message, file=str(path), remedy=remedy)
