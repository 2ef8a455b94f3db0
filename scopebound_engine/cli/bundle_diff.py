"""`bundle diff`: what changes from one bundle to another, whatever holds them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine.author.diff import files_at
from scopebound_engine.bundle.diff import Diff, RuleChange, ValueChange, compare
from scopebound_engine.bundle.format import archive
from scopebound_engine.cli.bundle_server import (
    bundle_id,
    download,
    is_version,
    server_options,
)
from scopebound_engine.cli.connect import Connect
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, printable

_MARKS: Final = {"added": "+", "removed": "-", "changed": "~"}
_COLORS: Final = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--exit-code", is_flag=True, help="End with 1 if there is a difference.")
@as_json
@server_options
def diff(connect: Connect, old: str, new: str, exit_code: bool, as_json: bool) -> None:
    """Show what changes from OLD to NEW: by rule, deny code and value.

    Each is an archive, a folder of policies, or on a server a version's ID, `active` or `previous`.
    Comments, layout and the files that rules stand in make no difference. Of tests only the names
    are shown.

    \b
    Example: scopebound-engine bundle diff active policies
    """
    found = compare(_files(connect, old), _files(connect, new))
    if as_json:
        json_document(found.as_dict())
    else:
        click.echo("\n".join(lines(found)))
    if exit_code and not found.same:
        click.get_current_context().exit(REFUSED)


def _files(connect: Connect, name: str) -> Mapping[str, bytes]:
    if is_version(name):
        server = connect()
        return archive.read(download(server, bundle_id(server, name)))
    path = Path(name)
    if not path.exists():
        raise click.BadParameter(
            f"{name!r} is no file or folder, and no id of a version; `bundle list` shows those"
        )
    return files_at(path)


def lines(diff: Diff) -> Iterator[str]:
    """A comparison as lines with colours."""
    if diff.same:
        yield "no difference but for comments, layout and order"
    yield from _section("rules", [line for rule in diff.rules for line in _rule(rule)])
    yield from _section("tests", [_title(test) for test in diff.tests])
    yield from _section("deny codes", [_value(code) for code in diff.deny_codes])
    yield from _section("matchers", [_value(matcher) for matcher in diff.matchers])
    yield from _section("manifest", [_value(field) for field in diff.manifest])
    yield from _section("data", [_value(value) for value in diff.data])


def _section(title: str, told: Sequence[str]) -> Iterator[str]:
    if told:
        yield title
        yield from (f"  {line}" for line in told)


def _rule(change: RuleChange) -> Iterator[str]:
    yield _title(change)
    for line in change.lines:
        yield f"    {_colored(line[0], line)}"


def _title(change: RuleChange) -> str:
    places = ", ".join(f"{place.file}:{place.line}" for place in change.places)
    mark = _MARKS[change.change]
    return _colored(mark, f"{mark} {change.package}.{change.name}  {places}")


def _value(change: ValueChange) -> str:
    mark, old, new = _MARKS[change.change], _shown(change.old), _shown(change.new)
    says = {"+": new, "-": old, "~": f"{old} -> {new}"}[mark]
    return _colored(mark, f"{mark} {change.path}: {says}")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _colored(mark: str, text: str) -> str:
    return click.style(printable(text), fg=_COLORS.get(mark))
