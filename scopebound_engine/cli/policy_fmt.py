"""`policy fmt`: Rego in OPA's style."""

import difflib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine.author.formatting import files as formatter
from scopebound_engine.author.formatting.files import Formatted
from scopebound_engine.cli import findings
from scopebound_engine.cli.ending import FAILED, REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, printable

_STDIN: Final = Path("-")
_COLORS: Final = {"+": "green", "-": "red", "@": "cyan"}
_HEADS: Final = frozenset(("+++", "---"))


@click.command()
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if a file would change.")
@click.option("--diff", is_flag=True, help="The same, and show what would change.")
@as_json
def fmt(paths: Sequence[Path], check: bool, diff: bool, as_json: bool) -> None:
    """Write Rego files in OPA's style, as `opa fmt` does.

    PATH is a file, a folder of them, or - for standard input, which is written to standard output.

    A file is rewritten only if it stays the same program: its tokens and comments are the same, and
    the engine compiles it to the same. One that does not parse is told and left as it is.

    \b
    Examples: scopebound-engine policy fmt policies
              scopebound-engine policy fmt --check policies    in CI
    """
    if _STDIN in paths:
        _filter(paths, check=check or diff)
        return
    found = formatter.format_files(formatter.files(paths))
    writes = not (check or diff)
    for file in found if writes else ():
        if file.state == "changed":
            formatter.write(file)
    if as_json:
        json_document([_document(file) for file in found])
    else:
        _show(found, writes=writes, diff=diff)
    _end(found, writes=writes)


class _Texts:
    """The files as findings name them."""

    def __init__(self, found: Sequence[Formatted]) -> None:
        self._lines = {file.name: file.before.split("\n") for file in found}

    def path(self, name: str) -> str:
        return name

    def line(self, name: str, number: int) -> str | None:
        lines = self._lines.get(name, [])
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else None


def _filter(paths: Sequence[Path], *, check: bool) -> None:
    """Standard input to standard output."""
    if len(paths) > 1:
        raise click.UsageError("- stands alone")
    found = formatter.format_texts({"<stdin>": sys.stdin.buffer.read()})
    _tell_problems(found)
    if not check and found[0].state in {"clean", "changed"}:
        click.echo(found[0].after, nl=False)
    _end(found, writes=not check)


def _end(found: Sequence[Formatted], *, writes: bool) -> None:
    states = {file.state for file in found}
    if "refused" in states:
        sys.exit(FAILED)
    if "unfit" in states or ("changed" in states and not writes):
        sys.exit(REFUSED)


def _show(found: Sequence[Formatted], *, writes: bool, diff: bool) -> None:
    _tell_problems(found)
    for file in found:
        if file.state == "changed" and diff:
            for line in _diff(file):
                click.echo(line)
        elif file.state == "changed":
            click.echo(f"{'formatted' if writes else 'would change'}  {printable(file.name)}")
    click.echo(_summary(Counter(file.state for file in found), writes=writes))


def _tell_problems(found: Sequence[Formatted]) -> None:
    texts = _Texts(found)
    for file in found:
        findings.show(file.findings, texts, err=True)
        if file.state == "refused":
            why = f"not formatted, your file is untouched: {file.defect}"
            click.echo(printable(f"{file.name}: {why}"), err=True)
            click.echo("    this is a defect of the formatter; please report it", err=True)


def _summary(counts: Counter[str], *, writes: bool) -> str:
    changed = "formatted" if writes else "would change"
    parts = [f"{counts['clean']} in style", f"{counts['changed']} {changed}"]
    parts += [f"{counts['unfit']} not parsed"] if counts["unfit"] else []
    parts += [f"{counts['refused']} refused"] if counts["refused"] else []
    return ", ".join(parts)


def _diff(file: Formatted) -> Iterator[str]:
    before, after = (text.splitlines(keepends=True) for text in (file.before, file.after))
    for line in difflib.unified_diff(before, after, file.name, file.name, n=2):
        shown = "\t".join(map(printable, line.removesuffix("\n").split("\t")))
        yield click.style(shown, fg=_COLORS.get(line[:1])) if line[:3] not in _HEADS else shown


def _document(file: Formatted) -> dict[str, Any]:
    found = [asdict(finding) for finding in file.findings]
    return {"file": file.name, "state": file.state, "findings": found, "defect": file.defect}
