"""`policy watch`: checks and tests on every save, and tells what changed by it."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from scopebound_engine.author.watch import Round, rounds
from scopebound_engine.cli import findings
from scopebound_engine.cli.bundle_files import FOLDER, manifest_option
from scopebound_engine.cli.ending import as_json
from scopebound_engine.cli.terminal import printable
from scopebound_engine.errors import Finding

# These are looked for whatever else is wrong.
_ALWAYS: Final = frozenset({"folder", "content", "build", "manifest", "source", "parse"})


@click.command()
@click.argument("source", metavar="FOLDER", type=FOLDER)
@manifest_option
@click.option("--acknowledge-floor", is_flag=True, help="Only warn of what the floor refuses.")
@as_json
def watch(source: Path, manifest: Path | None, acknowledge_floor: bool, as_json: bool) -> None:
    """Check and test the policies in FOLDER on every save, until Ctrl-C.

    First comes all that there is to say, then what each save changed: what is new in full, what is
    mended and what still stands in a line each. With --json each look is a line.

    \b
    Example: scopebound-engine policy watch policies
    """
    standing: Sequence[Finding] = ()
    try:
        for found in rounds(source, manifest, acknowledge_floor=acknowledge_floor):
            for line in [_document(found)] if as_json else _told(found, standing):
                click.echo(line)
            sys.stdout.flush()
            standing = _standing(found, standing)
    except KeyboardInterrupt:
        # The way to end it; the shell's prompt gets a line of its own.
        click.echo(err=True)


def _told(found: Round, before: Sequence[Finding]) -> Iterator[str]:
    names = ", ".join(found.changed) or "as it is"
    yield click.style(f"{time.strftime('%H:%M:%S')}  {printable(names)}", bold=True)
    if found.stopped or found.sources is None:
        yield click.style(printable(found.stopped), fg="red")
        yield ""
        return
    known, now = {_key(item) for item in before}, _standing(found, before)
    for item in found.findings:
        if _key(item) not in known:
            yield from findings.lines(item, found.sources)
    left = {_key(item) for item in now}
    for item in before:
        mended = _key(item) not in left
        word = "mended:" if mended else "still: "
        style = {"fg": "green"} if mended else {"dim": True}
        yield click.style(f"{word} {_short(item)}", **style)
    for sentence in found.report.left_out if found.report else ():
        yield f"{click.style('not checked', fg='yellow')}: {sentence}"
    yield _sum(found)
    yield ""


def _standing(found: Round, before: Sequence[Finding]) -> Sequence[Finding]:
    """What is wrong as far as is known: what could not be checked this time is as it was."""
    if found.report is None:
        return before
    keys = {_key(item) for item in found.findings}
    unknown = [
        item
        for item in before
        if found.report.left_out and item.step not in _ALWAYS and _key(item) not in keys
    ]
    return [*found.findings, *unknown]


def _key(finding: Finding) -> tuple[str, str]:
    """What makes a finding the same although lines were added above it."""
    return finding.file, finding.message


def _short(finding: Finding) -> str:
    place = f"{finding.file}:{finding.line}: " if finding.line else ""
    return printable(f"{place}{finding.message}")


def _sum(found: Round) -> str:
    word, color = ("fine", "green") if found.is_fine else ("to be mended", "red")
    parts = [f"{len(found.findings)} found"] if found.findings else []
    if found.tested is None:
        parts.append("no tests were run")
    else:
        parts.append(f"{found.tested.count('passed')} of {len(found.tested.results)} tests passed")
    return f"{click.style(word, fg=color, bold=True)}: {', '.join(parts)}"


def _document(found: Round) -> str:
    report, tests = found.report, found.tested
    return json.dumps(
        {
            "ok": found.is_fine,
            "changed": list(found.changed),
            "stopped": found.stopped,
            "findings": [asdict(finding) for finding in found.findings],
            "not_checked": list(report.left_out) if report else [],
            "tests_passed": tests.count("passed") if tests else None,
            "tests": len(tests.results) if tests else None,
        }
    )
