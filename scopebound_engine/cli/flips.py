"""How the report of a backtest is shown."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

import click

from scopebound_engine.author.backtesting.flips import ALLOW, Example, Group, Kind, Report, Said
from scopebound_engine.cli.terminal import columns, printable
from scopebound_engine.log.replayable import IN_WORDS

_TITLES: Final[dict[Kind, tuple[str, str]]] = {
    "deny_to_allow": ("deny → allow", "red"),
    "allow_to_deny": ("allow → deny", "yellow"),
    "deny_code": ("another deny code", "cyan"),
}
_MOST_GROUPS: Final = 20
_CHECKSUM: Final = 12


def tell(report: Report) -> None:
    """Write it for people: what flips first, then what was asked and what could not be."""
    for line in _lines(report):
        click.echo(line)


def _lines(report: Report) -> Iterator[str]:
    examples = {kind: list(found) for kind, found in groupby(report.examples, lambda e: e.kind)}
    for kind, found in groupby(report.groups, lambda group: group.kind):
        title, color = _TITLES[kind]
        head = f"{title}: {report.kinds[kind]:,} of {report.decided:,} decisions"
        yield click.style(head, fg=color, bold=True)
        yield from _grouped(list(found))
        for example in examples.get(kind, ()):
            yield from _example(example)
        yield ""
    yield from _summary(report)


def _grouped(groups: list[Group]) -> Iterator[str]:
    rows = [
        (f"{one.count:,}".rjust(9), f"{one.was} → {one.now}", one.tool or "-", one.role or "-")
        for one in groups[:_MOST_GROUPS]
    ]
    for line in columns([("decisions", "code", "tool", "role"), *rows]):
        yield f"  {line}"
    if len(groups) > _MOST_GROUPS:
        rest = sum(one.count for one in groups[_MOST_GROUPS:])
        yield f"  {rest:>9,}  in {len(groups) - _MOST_GROUPS:,} more groups; --json has them all"


def _example(example: Example) -> Iterator[str]:
    who = f"{example.tool or 'delegation'} as {example.role}" if example.role else example.tool
    yield printable(f"  {example.id}  {example.at}  {who}")
    yield from _said("was", example.was)
    yield from _said("now", example.now)


def _said(when: str, violations: tuple[Said, ...]) -> Iterator[str]:
    if not violations:
        yield f"    {when}  {ALLOW}"
    for one in violations:
        rules = click.style(f"  {', '.join(map(printable, one.rules))}", dim=True)
        yield f"    {when}  {printable(f'{one.code}: {one.reason}')}{rules if one.rules else ''}"


def _summary(report: Report) -> Iterator[str]:
    verdict = f"{report.flips:,} of {report.decided:,} decisions flip"
    color = "red" if report.kinds["deny_to_allow"] else "yellow" if report.flips else "green"
    yield click.style(verdict, fg=color, bold=True) + printable(
        f" with {report.name} {report.version}, in {report.seconds:.1f} s"
    )
    for kind, (title, _) in _TITLES.items():
        yield f"  {report.kinds[kind]:>9,} {title}"
    if report.altered:
        yield f"  {report.altered:>9,} are denied with the same code, for other reasons as well"
    if report.without_verdict:
        yield f"  {report.without_verdict:>9,} get no verdict, which denies them: POLICY_ERROR"
    undecidable = sum(report.undecidable.values())
    yield f"records: {report.records:,}; {undecidable:,} cannot be decided again"
    for cause, number in sorted(report.undecidable.items(), key=lambda item: -item[1]):
        yield f"  {number:>9,} {IN_WORDS[cause]}"
    for bundle in report.bundles:
        of = printable(f"bundle {bundle.version} ({bundle.checksum[:_CHECKSUM]}…)")
        yield f"  {bundle.decisions:>9,} were decided by {of}"
    for warning in report.warnings:
        yield click.style("warning: ", fg="yellow") + printable(warning)
