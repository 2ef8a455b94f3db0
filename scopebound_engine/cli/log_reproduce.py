"""`log reproduce`: decide again what was decided, and say whether it comes out the same."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scopebound_engine.cli.bundle_files import FILE, THERE
from scopebound_engine.cli.duration import Duration
from scopebound_engine.cli.ending import FAILED, REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, printable

if TYPE_CHECKING:
    from scopebound_engine.cli.log_records import Record
    from scopebound_engine.log.reproduce import Reproduction

_EXIT_CODES: Final = f"""\b
Exit codes:
  0  every decision that can be made again came out the same
  {REFUSED}  one came out differently: what differs is told
  {FAILED}  not done: wrong usage, something cannot be read, or there was no decision to make again
"""
# So many records are told of one by one; all are counted.
_MOST_TOLD: Final = 100
_TICK_SECONDS: Final = 0.2
_ERASE_LINE: Final = "\r\x1b[K"


@click.command(epilog=_EXIT_CODES)
@click.argument("what", nargs=-1, metavar="[ID|PATH]...")
@click.option("--window", type=Duration(), metavar="TIME", help="All of the last TIME, as 7d.")
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=FILE,
    help="A bundle that decided, if neither this node nor the database has it. Repeat for several.",
)
@click.option(
    "--trust",
    type=THERE,
    help="The public keys that are believed, a file or folder. Without: those of this node.",
)
@as_json
def reproduce(
    what: tuple[str, ...],
    window: float | None,
    bundles: tuple[Path, ...],
    trust: Path | None,
    as_json: bool,
) -> None:
    """Decide recorded decisions again, and compare.

    An ID is that of a record (decision_id), a PATH the folder of a journal, one of its files, or an
    export (json or jsonl). Each is decided by the bundle that its record names, from the input that
    it holds: the same verdict is due, with the same violations in the same order. Whether the
    records themselves are as they were written, log verify tells.

    \b
    Example: scopebound-engine log reproduce export.jsonl
    """
    from scopebound_engine.cli.log_records import Records
    from scopebound_engine.log.reproduce import Reproducer

    if not (what or window):
        raise click.UsageError("name a record by its id, a file, or --window.")
    records, found = Records(), _Found()
    wanted = chain.from_iterable(map(records.named, what))
    with Reproducer(records.shelf(bundles, trust)) as reproducer:
        for record in _counted(chain(wanted, records.of_last(window) if window else ())):
            found.add(reproducer.reproduce(record))
    if as_json:
        json_document(found.document())
    else:
        found.tell()
    if found.count["different"]:
        sys.exit(REFUSED)
    if not found.count["identical"]:
        sys.exit(FAILED)


@dataclass
class _Found:
    """What came of the records: counts, and the records that are worth a line."""

    count: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    told: "list[Reproduction]" = field(default_factory=list)

    def add(self, one: "Reproduction") -> None:
        """Take in what came of one record."""
        self.count[one.outcome] += 1
        if one.cause is not None:
            self.causes[one.cause] += 1
        # Of causes the first of each kind stands for the others.
        is_news = one.outcome == "different" or self.causes[one.cause or ""] == 1
        if (is_news or self.count.total() == 1) and len(self.told) < _MOST_TOLD:
            self.told.append(one)

    def tell(self) -> None:
        """Write it for people."""
        from scopebound_engine.log.replayable import IN_WORDS

        for one in self.told:
            click.echo(printable(f"{one.id} {one.event}: {_outcome(one)}"))
            for difference in one.differences:
                click.echo(printable(f"    {difference}"))
        click.echo(
            f"records: {self.count.total():,}; {self.count['identical']:,} identical, "
            f"{self.count['different']:,} different, {self.count['impossible']:,} not reproducible"
        )
        for cause, number in self.causes.most_common():
            click.echo(f"  {number:>9,} {IN_WORDS[cause]}")

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "records": self.count.total(),
            **{outcome: self.count[outcome] for outcome in ("identical", "different")},
            "not_reproducible": dict(self.causes),
            "told": [asdict(one) for one in self.told],
        }


def _outcome(one: "Reproduction") -> str:
    if one.outcome == "impossible":
        return f"not reproducible: {one.reason}"
    if one.outcome == "different":
        return f"DIFFERENT (recorded by version {one.engine})"
    return "identical"


def _counted(records: "Iterable[Record]") -> "Iterator[Record]":
    """On a terminal say how many there were so far; elsewhere nothing."""
    shows, due = sys.stderr.isatty(), time.monotonic() + _TICK_SECONDS
    for number, record in enumerate(records, 1):
        yield record
        if shows and time.monotonic() > due:
            due = time.monotonic() + _TICK_SECONDS
            click.echo(f"{_ERASE_LINE}deciding again … {number:,}", nl=False, err=True)
    if shows:
        click.echo(_ERASE_LINE, nl=False, err=True)
