"""`policy backtest`: what an edit would have changed in decisions that were recorded."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scopebound_engine.cli.bundle_files import THERE, manifest_option
from scopebound_engine.cli.duration import Duration
from scopebound_engine.cli.ending import FAILED, REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, waiting

if TYPE_CHECKING:
    from scopebound_engine.author.backtesting.flips import Report
    from scopebound_engine.author.subject import Subject
    from scopebound_engine.cli.log_records import Record

_EXIT_CODES: Final = f"""\b
Exit codes:
  0  fewer decisions flip than the thresholds allow
  {REFUSED}  more do: --max-deny-to-allow (0 unless given), or --max-flips
  {FAILED}  not done: wrong usage, something cannot be read, or no decision could be decided again
"""
_DEFAULT_SECONDS: Final = 24 * 3_600
_BAR: Final = 24


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The options of a backtest."""

    window: float | None
    paths: tuple[Path, ...]
    max_deny_to_allow: int
    max_flips: int | None
    examples: int

    def passed_by(self, report: "Report") -> bool:
        """Whether more flips than is allowed."""
        too_many = self.max_flips is not None and report.flips > self.max_flips
        return too_many or report.kinds["deny_to_allow"] > self.max_deny_to_allow


@click.command(epilog=_EXIT_CODES)
@click.argument("source", metavar="FOLDER|BUNDLE", type=THERE)
@manifest_option
@click.option(
    "--window",
    type=Duration(),
    metavar="TIME",
    help="Decisions of the last TIME, as 90m, 24h or 7d. Without: 24h, or all that --from names.",
)
@click.option(
    "--from",
    "paths",
    multiple=True,
    type=THERE,
    help="Take records from an export (json or jsonl), a journal's folder or one of its files; "
    "repeat for several. Without: from the database of this node.",
)
@click.option(
    "--max-deny-to-allow",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="End with 1 if more denied calls would have been allowed.",
)
@click.option(
    "--max-flips",
    type=click.IntRange(0),
    help="End with 1 if more decisions flip in any way. Without: as many as like.",
)
@click.option(
    "--examples",
    type=click.IntRange(0, 1_000),
    default=5,
    show_default=True,
    help="Show so many of each kind of flip.",
)
@as_json
def backtest(source: Path, manifest: Path | None, as_json: bool, **options: Any) -> None:
    """Show what an edit would have changed in decisions that were recorded.

    FOLDER or BUNDLE, signed or not, decides recorded decisions again: from the input that each
    record holds, the time among it, on all processors. What comes out differently is counted by
    deny code, tool and role, denied calls that would have been allowed first, with examples: what
    was recorded, and what the candidate says, by which rules.

    Records that cannot be decided again are counted by their cause, those with masked arguments
    among them. Nothing is changed anywhere.

    \b
    Examples: scopebound-engine policy backtest policies --window 7d
              scopebound-engine policy backtest policies --from export.jsonl --max-flips 10
    """
    from scopebound_engine.author.backtesting.backtest import backtest as decide
    from scopebound_engine.cli import flips

    wishes = _Wishes(**options)
    candidate = _candidate(source, manifest)
    read = _Reading(wishes.paths, wishes.window)
    with waiting("deciding again", read.progress):
        report = decide(candidate, read.records(), examples=wishes.examples, progress=read.count)
    if as_json:
        json_document(report.as_dict())
    else:
        flips.tell(report)
    if not report.decided:
        click.echo("scopebound-engine: no decision could be decided again", err=True)
        sys.exit(FAILED)
    if wishes.passed_by(report):
        sys.exit(REFUSED)


def _candidate(source: Path, manifest: Path | None) -> "Subject":
    from scopebound_engine.author import folder, subject

    if source.is_dir():
        return subject.of_folder(folder.read(source, manifest))
    if manifest is not None:
        raise click.UsageError("a bundle has its manifest; --manifest is for a folder")
    return subject.of_archive(source)


@dataclass
class _Reading:
    """Where records come from, and how far they are read."""

    paths: tuple[Path, ...]
    window: float | None
    bytes_read: int = 0
    decided: int = 0

    def records(self) -> "Iterator[Record]":
        """Those of the files, or of the database. Raises InputError, ConfigError."""
        from scopebound_engine.cli.log_records import Records

        if not self.paths:
            yield from Records().of_last(self.window or _DEFAULT_SECONDS)
            return
        since_us = 0 if self.window is None else int((time.time() - self.window) * 1_000_000)
        for record in Records().within(self.paths, progress=self._advance):
            at_us = record.get("at_us")
            if type(at_us) is not int or at_us >= since_us:
                yield record

    def count(self, decided: int) -> None:
        """So many were decided again."""
        self.decided = decided

    def progress(self) -> str:
        """How far it is, with a bar where it is known how much there is."""
        return f"{self._bar()}{self.decided:,} decisions, "

    def _advance(self, size: int) -> None:
        self.bytes_read += size

    def _bar(self) -> str:
        total = _size(self.paths)
        if not total:
            return ""
        done = min(self.bytes_read / total, 1.0)
        return f"[{'#' * int(done * _BAR):<{_BAR}}] {done:.0%} "


def _size(paths: tuple[Path, ...]) -> int:
    from scopebound_engine.log import sources

    return sum(source.bytes() for source in sources.sources(paths)) if paths else 0
