"""How findings are shown: where, what, the line with a caret below it, and how to mend it.

policies/shop/deny.rego:7:9: error: the function shop.opne is not defined
  7 |     not shop.opne
    |         ^
    = write the name of a rule or built-in
"""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import click

from scopebound_engine.cli.ending import FAILED, found, wants_json
from scopebound_engine.cli.terminal import json_document, printable
from scopebound_engine.errors import Finding, FindingsError

_COLORS: Final = {"error": "red", "warning": "yellow"}
# A line that is longer is shown around the column.
_WIDTH: Final = 160


class Sources(Protocol):
    """What findings are about: a folder's, or any files that are known by a name."""

    def path(self, name: str, /) -> str:
        """Where a file lies that a finding names."""

    def line(self, name: str, number: int, /) -> str | None:
        """A line of a file, from 1; None where there is none."""


def show(findings: Iterable[Finding], sources: Sources, *, err: bool = False) -> None:
    """Write findings, on standard error with `err`."""
    for finding in findings:
        for line in lines(finding, sources):
            click.echo(line, err=err)


@contextmanager
def refusing(sources: Sources) -> Iterator[None]:
    """Ends the command with 2 where the block raises FindingsError, showing what it found."""
    try:
        yield
    except FindingsError as error:
        click.echo(printable(f"scopebound-engine: {error.summary}"), err=True)
        show(error.findings, sources, err=True)
        if wants_json():
            json_document(found(error.summary, error.findings))
        click.get_current_context().exit(FAILED)


def lines(finding: Finding, sources: Sources) -> Iterator[str]:
    """A finding as styled lines."""
    color = _COLORS[finding.level]
    place = printable(sources.path(finding.file)) if finding.file else ""
    place += f":{finding.line}:{finding.column}" if finding.line else ""
    level = click.style(finding.level, fg=color, bold=True)
    where = click.style(place, bold=True) + ": " if place else ""
    yield f"{where}{level}: {printable(finding.message)}"
    yield from snippet(
        sources.line(finding.file, finding.line), finding.line, finding.column, color
    )
    if finding.remedy:
        margin = " " * (len(str(finding.line)) + 2) if finding.line else "  "
        yield click.style(f"{margin} = ", dim=True) + printable(finding.remedy)


def snippet(line: str | None, number: int, column: int, color: str) -> Iterator[str]:
    """A line of source with its number, and a caret below its column, from 1; none below 0."""
    if line is None or not line.strip():
        return
    gutter = click.style(f"  {number} | ", dim=True)
    cut = max(column - _WIDTH // 2, 0) if len(line) > _WIDTH else 0
    shown = line[cut : cut + _WIDTH]
    yield gutter + _visible(shown)
    if column:
        blank = "".join(map(_blank, shown[: column - 1 - cut]))
        empty = click.style(f"  {' ' * len(str(number))} | ", dim=True)
        yield f"{empty}{blank}{click.style('^', fg=color, bold=True)}"


def _visible(line: str) -> str:
    """The line with what a terminal would act on spelled out, but for tabs."""
    return "\t".join(map(printable, line.split("\t")))


def _blank(char: str) -> str:
    """As much room as a character of the line above takes; tabs are kept, so they stop alike."""
    if char == "\t":
        return char
    if not char.isprintable():
        return " " * len(printable(char))
    if unicodedata.combining(char):
        return ""
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "
