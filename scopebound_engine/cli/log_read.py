"""`log tail|show`: what was decided and changed, as a server's database has it."""

import itertools
import json
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import click

from scopebound_engine.cli import log_page
from scopebound_engine.cli.connect import Connect
from scopebound_engine.cli.ending import as_json
from scopebound_engine.cli.log_follow import Follower
from scopebound_engine.cli.log_lines import row
from scopebound_engine.cli.log_query import (
    DECISIONS,
    Line,
    filter_options,
    records,
    server_options,
)
from scopebound_engine.cli.remote import RefusedError, RemoteError
from scopebound_engine.cli.terminal import json_document, printable

_MOST: Final = 10_000
_PAUSE_SECONDS: Final = 1.0


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, _MOST),
    default=20,
    show_default=True,
    help="How many of the newest to begin with.",
)
@filter_options
@as_json
@server_options
def tail(connect: Connect, follow: bool, lines: int, as_json: bool, **filters: str | None) -> None:
    """Show the newest records that fit all filters, a line each, oldest first.

    A line has the time, the verdict, the deny code or what happened, role, tool, session and why.
    With --json each is the journal's line, as JSON in ASCII; to verify them take `log export`.

    A record can be seen a second or two after its answer, when its node has copied it into the
    database; of a node that was cut off from the database when it is back. With --follow each
    is shown once, whenever it comes: so the times of several nodes are not always in order. A node
    whose clock was set back is silent until it is past where it was.

    \b
    Example: scopebound-engine log tail -f --decision deny --role invoice-processor
    """
    if follow and filters["until"]:
        raise click.UsageError("--follow has no end; leave out --until")
    server = connect()
    follower = Follower(server, filters | {"since": None}) if follow else None
    newest = list(itertools.islice(records(server, filters), lines))[::-1] if lines else []
    _write(newest, as_json=as_json)
    if follower is not None:
        follower.note(newest)
        _follow(follower, as_json=as_json)


@click.command()
@click.argument("record", metavar="ID")
@as_json
@server_options
def show(connect: Connect, record: str, as_json: bool) -> None:
    """Show one record: who asked for what, what was decided, why, and on what grounds.

    ID is what an answer calls `decision_id`, or a webhook.

    \b
    Example: scopebound-engine log show 01a200c3-8d6d-7f67-9963-1967fc59b3ca
    """
    line = connect().done("GET", f"{DECISIONS}/{quote(record, safe='')}")
    if as_json:
        json_document(line)
    else:
        log_page.write(line)


def _follow(follower: Follower, *, as_json: bool) -> None:
    told = ""
    try:
        while True:
            time.sleep(_PAUSE_SECONDS)
            try:
                _write(follower.fresh(), as_json=as_json)
                told = ""
            except RemoteError as error:
                if isinstance(error, RefusedError) and error.status < 500:
                    raise
                # Servers are restarted. What comes meanwhile is not lost.
                if not told:
                    told = printable(f"scopebound-engine: {error}; asking on")
                    click.echo(told, err=True)
    except KeyboardInterrupt:
        # The usual end of it.
        return


def _write(lines: Iterable[Line], *, as_json: bool) -> None:
    for line in lines:
        click.echo(json.dumps(line) if as_json else row(line))
