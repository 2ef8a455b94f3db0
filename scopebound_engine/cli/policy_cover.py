"""`policy cover`: what the tests of a folder of policies do not reach."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine import whole_file
from scopebound_engine.author import folder
from scopebound_engine.author.coverage.cover import Coverage, FileCover, spelled
from scopebound_engine.author.coverage.cover import cover as run
from scopebound_engine.author.coverage.page import page
from scopebound_engine.author.folder import Sources
from scopebound_engine.cli.bundle_files import ANY, FOLDER
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.findings import refusing
from scopebound_engine.cli.terminal import json_document, printable, waiting
from scopebound_engine.errors import ConfigError
from scopebound_engine.rego.coverage.records import ClauseCover, ExpressionCover, TestCover

_MODE: Final = 0o644
# Below it a file is not called well tested.
_FAIR: Final = 80
# What a terminal shows: items of a list, characters of an expression, spans of lines of a file.
_LISTED: Final = 40
_TEXT: Final = 100
_SPANS: Final = 8
_Item = ClauseCover | ExpressionCover | TestCover


@click.command()
@click.argument("source", metavar="FOLDER", type=FOLDER)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 100),
    metavar="N",
    help="End with 1 where less than N percent of the lines are covered.",
)
@click.option("--html", type=ANY, metavar="FILE", help="Write a page with the source coloured.")
@click.option(
    "-r",
    "--run",
    "pattern",
    metavar="REGEX",
    help="Only tests whose name this regular expression finds.",
)
@as_json
def cover(
    source: Path, threshold: float | None, html: Path | None, pattern: str | None, as_json: bool
) -> None:
    """Find what the tests in FOLDER do not try of its policies.

    A line counts where a rule, an else or an expression begins; it is covered once a test evaluated
    an expression on it, or the rule on it held. That does not say much of a condition that came out
    the same in every test, so those are listed too: never true, never false. Files named
    *_test.rego are left out.

    Ends with 1 also where a test does not pass; what failing tests evaluate counts.

    \b
    Examples:
      scopebound-engine policy cover policies --threshold 95
      scopebound-engine policy cover policies --html coverage.html -r scope_violation
    """
    sources = folder.read(source)
    with refusing(sources), waiting("running the tests"):
        coverage = run(sources, pattern)
    if html is not None:
        _write(html, page(coverage, sources))
    is_below = threshold is not None and coverage.percent < threshold
    if as_json:
        json_document(_document(coverage, threshold, ok=not (is_below or coverage.broken)))
    else:
        _tell(coverage, sources)
        if is_below:
            click.echo(f"less than the {threshold:g} % that are asked for")
    if is_below or coverage.broken:
        click.get_current_context().exit(REFUSED)


def _write(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is no file to write a page to; name another.")
    try:
        whole_file.write(path, text.encode("utf-8"), mode=_MODE, durable=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def _tell(coverage: Coverage, sources: Sources) -> None:
    """Write the coverage for people: a line for each file, and what is missing below."""
    rows = [(printable(sources.path(file.file)), file) for file in coverage.files]
    width = max((len(name) for name, _ in rows), default=0)
    for name, file in rows:
        click.echo(f"{name:<{width}}  {_percent(file.percent)}  {_uncovered(file)}".rstrip())
    click.echo(f"{'all':<{width}}  {_percent(coverage.percent)}  of {coverage.lines} lines")
    files = coverage.files
    _list("never entered", "red", sources, [item for file in files for item in file.never_entered])
    _list("never true", "yellow", sources, [item for file in files for item in file.never_true])
    _list("never false", "yellow", sources, [item for file in files for item in file.never_false])
    _list("did not pass, as policy test explains", "red", sources, coverage.broken)
    count = len(coverage.tests)
    passed = f"{count - len(coverage.broken)} of {count} tests passed"
    click.echo(f"\n{passed}, {coverage.seconds:.1f} s")


def _percent(percent: float) -> str:
    color = "green" if percent == 100 else "yellow" if percent >= _FAIR else "red"
    return click.style(f"{percent:5.1f} %", fg=color)


def _uncovered(file: FileCover) -> str:
    """The lines that are not covered, as far as a terminal has room for them."""
    spans = [spelled(span) for span in file.uncovered]
    rest = len(spans) - _SPANS
    return ", ".join(spans[:_SPANS]) + (f" and {rest} more" if rest > 0 else "")


def _list(title: str, color: str, sources: Sources, items: Sequence[_Item]) -> None:
    if not items:
        return
    click.echo("\n" + click.style(title, fg=color, bold=True))
    for item in items[:_LISTED]:
        place = click.style(f"{printable(sources.path(item.file))}:{item.line}", bold=True)
        click.echo(f"  {place}: {printable(_name(item))}")
    if len(items) > _LISTED:
        click.echo(f"  and {len(items) - _LISTED} more, which --json and --html list")


def _name(item: _Item) -> str:
    if isinstance(item, ExpressionCover):
        return item.text if len(item.text) <= _TEXT else f"{item.text[: _TEXT - 1]}…"
    if isinstance(item, ClauseCover):
        return item.rule
    return f"{item.name}: {item.outcome}{item.message and ': ' + item.message}"


def _document(coverage: Coverage, threshold: float | None, *, ok: bool) -> dict[str, Any]:
    return {
        "ok": ok,
        "percent": coverage.percent,
        "threshold": threshold,
        "lines": coverage.lines,
        "covered": coverage.covered,
        "files": [
            {
                "file": file.file,
                "percent": file.percent,
                "lines": file.lines,
                "covered": file.covered,
                "uncovered": file.uncovered,
                "never_entered": [_place(item) for item in file.never_entered],
                "never_true": [_place(item) for item in file.never_true],
                "never_false": [_place(item) for item in file.never_false],
            }
            for file in coverage.files
        ],
        "tests": [asdict(test) for test in coverage.tests],
        "seconds": round(coverage.seconds, 3),
    }


def _place(item: ClauseCover | ExpressionCover) -> dict[str, Any]:
    said = {"rule": item.rule} if isinstance(item, ClauseCover) else {"expression": item.text}
    return {"line": item.line, "column": item.column, **said}
