"""`policy test`: the tests of a folder of policies."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

import click

from scopebound_engine.bundle.format import content
from scopebound_engine.bundle.format.archive import DATA
from scopebound_engine.errors import EngineError, Finding, FindingsError, InputError
from scopebound_engine.rego.testing.runner import TestResult, run_tests

_FAILED: Final = 1
_ERROR: Final = 2
_BAD: Final = frozenset({"failed", "error"})


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-r", "--run", "pattern", help="Only tests whose name this regular expression finds.")
@click.option("-v", "--verbose", is_flag=True, help="List the tests that pass too.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def test(folder: Path, pattern: str | None, verbose: bool, as_json: bool) -> None:
    """Run the tests of the policies in FOLDER: rules whose name begins with test_.

    Ends with 0 if all pass, 1 if one does not, 2 if none could be run.

    \b
    Example: scopebound-engine policy test policies -r scope_violation
    """
    files = _read(folder)
    try:
        content.check(files)
        modules = content.modules(files, tests=True)
        results = run_tests(modules, content.data(files), pattern)
    except FindingsError as error:
        _refuse(error.summary, error.findings, files)
    except (EngineError, InputError) as error:
        _refuse(str(error))
    if not results:
        _refuse(f"no tests in {folder}" + (f" match {pattern}" if pattern else ""))
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        _print(results, verbose)
    if any(result.outcome in _BAD for result in results):
        sys.exit(_FAILED)


def _read(folder: Path) -> dict[str, bytes]:
    """The modules and data of a folder, by the names they would have in a bundle."""
    paths = [*folder.rglob("*.rego"), *folder.rglob(DATA)]
    try:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}
    except OSError as error:
        _refuse(f"{error.filename} cannot be read: {error.strerror}")


def _print(results: Sequence[TestResult], verbose: bool) -> None:
    for result in results:
        if result.outcome in _BAD:
            click.echo(f"{result.outcome:7} {result.file}:{result.line}: {result.name}")
            click.echo(f"        {result.expression or result.message or 'is not true'}")
        elif verbose:
            took = f"  {result.seconds * 1000:.1f} ms" if result.outcome == "passed" else ""
            click.echo(f"{result.outcome:7} {result.name}{took}")
    counts = Counter(result.outcome for result in results)
    parts = [f"{counts['passed']} passed", f"{counts['failed']} failed"]
    parts += [f"{counts['error']} could not be judged"] if counts["error"] else []
    parts += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
    click.echo(", ".join(parts))


def _refuse(
    summary: str, findings: Sequence[Finding] = (), files: Mapping[str, bytes] | None = None
) -> NoReturn:
    """Say why no test could be run, with the lines it is about, and end."""
    click.echo(f"error: {summary}", err=True)
    for finding in findings:
        click.echo(str(finding), err=True)
        text = (files or {}).get(finding.file, b"").decode("utf-8", "replace")
        lines = text.splitlines()
        if 0 < finding.line <= len(lines):
            line = lines[finding.line - 1]
            # Tabs are kept, so that the caret stands below what it points at.
            blank = "".join("\t" if char == "\t" else " " for char in line[: finding.column - 1])
            click.echo(f"    {line}\n    {blank}^", err=True)
    sys.exit(_ERROR)
