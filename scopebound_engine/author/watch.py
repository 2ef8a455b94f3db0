"""`policy watch`: checks and tests a folder again whenever something in it was saved.

What changed is found by looking, which works on every file system: names, sizes and times of the
files that policies consist of. Editors save in several steps, so a change counts once it has stood
for a moment.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scopebound_engine.author import folder, tests
from scopebound_engine.author.checking import check
from scopebound_engine.author.folder import Sources
from scopebound_engine.bundle.format.archive import DATA
from scopebound_engine.bundle.format.build import CASES, manifest_beside
from scopebound_engine.bundle.format.content import MODULE
from scopebound_engine.bundle.format.manifest import FILE
from scopebound_engine.errors import Finding, FindingsError, ScopeboundError

LOOK_SECONDS: Final = 0.3
_SUFFIXES: Final = (MODULE, DATA, CASES, FILE)

# Size and time of change in nanoseconds, by path.
_Seen = Mapping[Path, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one look: of the check, and of the tests where there are any that can be run.

    `changed` are the files that led to it, none for the first. `stopped` says why nothing could be
    told at all; there are no sources then.
    """

    changed: tuple[str, ...]
    sources: Sources | None = None
    report: check.Report | None = None
    tested: tests.Report | None = None
    findings: tuple[Finding, ...] = ()
    stopped: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing to mend."""
        errors = [item for item in self.findings if item.level == "error"]
        return not errors and not self.stopped


def rounds(
    place: Path,
    manifest_file: Path | None = None,
    *,
    acknowledge_floor: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Round]:
    """A round for the folder as it is, then one after each change; it never ends by itself."""
    seen = _look(place, manifest_file)
    changed: tuple[str, ...] = ()
    while True:
        yield _round(place, manifest_file, changed, acknowledge_floor=acknowledge_floor)
        before = seen
        while seen == before:
            wait(LOOK_SECONDS)
            seen = _settled(place, manifest_file, wait)
        paths = {path for path, _ in {*before.items()} ^ {*seen.items()}}
        changed = tuple(sorted(_shown(path, place) for path in paths))


def _settled(place: Path, manifest_file: Path | None, wait: Callable[[float], None]) -> _Seen:
    """What is there once it has stayed the same for a moment."""
    seen, last = _look(place, manifest_file), None
    while last is not None and seen != last:
        wait(LOOK_SECONDS / 3)
        seen, last = _look(place, manifest_file), seen
    return seen


def _look(place: Path, manifest_file: Path | None) -> _Seen:
    paths = [path for path in place.rglob("*") if path.name.endswith(_SUFFIXES)]
    paths.append(manifest_file or manifest_beside(place))
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            # It went while this was looking, or is a link to nowhere: a change if it was there.
            continue
        found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _round(
    place: Path, manifest_file: Path | None, changed: tuple[str, ...], *, acknowledge_floor: bool
) -> Round:
    try:
        sources = folder.read(place, manifest_file)
        report = check.check(sources, acknowledge_floor=acknowledge_floor)
    except ScopeboundError as error:
        return Round(changed, stopped=str(error))
    tested, failed = _tested(sources)
    # What keeps the tests from being run is mostly in the report already.
    findings = tuple(dict.fromkeys((*report.findings, *failed)))
    return Round(changed, sources, report, tested, findings)


def _tested(sources: Sources) -> tuple[tests.Report | None, list[Finding]]:
    """How the tests went, None where none were run; and what failed."""
    try:
        report = tests.run(sources)
    except FindingsError as error:
        return None, list(error.findings)
    except ScopeboundError as error:
        return None, [Finding("tests", f"the tests cannot be run: {error}")]
    return report if report.results else None, [_failed(result) for result in report.bad]


def _failed(result: tests.TestResult) -> Finding:
    what = result.expression or result.message
    return Finding("tests", f"{result.name} {result.outcome}: {what}", result.file, result.line)


def _shown(path: Path, place: Path) -> str:
    return path.relative_to(place).as_posix() if path.is_relative_to(place) else str(path)
