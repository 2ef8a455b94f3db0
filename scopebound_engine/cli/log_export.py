"""`log export`: the decision log of a server as a file, whole or not at all."""

import time
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click

from scopebound_engine import whole_file
from scopebound_engine.cli.bundle_files import ANY
from scopebound_engine.cli.connect import Connect
from scopebound_engine.cli.log_query import server_options
from scopebound_engine.cli.remote import Server
from scopebound_engine.cli.terminal import fields, waiting
from scopebound_engine.errors import ConfigError

_EXPORT: Final = "/mgmt/v1/audit/export"
_FORMATS: Final = ("jsonl", "json", "csv")
_MOST_HOURS: Final = 720
# For its owner only: who may not read the log may not read it here.
_MODE: Final = 0o600
_MEGA: Final = 1_000_000


@click.command()
@click.option("--out", type=ANY, required=True, help="The file for it; one that is there is kept.")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="Without: what the file's name ends in, or jsonl.",
)
@click.option(
    "--window-hours",
    type=click.IntRange(1, _MOST_HOURS),
    default=24,
    show_default=True,
    help="How many hours before now.",
)
@server_options
def export(connect: Connect, out: Path, form: str | None, window_hours: int) -> None:
    """Write the records of the last hours to a file, node by node.

    jsonl has the lines of the nodes' journals, exactly: `log verify` takes it. json is one array of
    the same, csv has the fields that fit a table. The file is there when all of it is. That the log
    was exported is recorded in it.

    \b
    Example: scopebound-engine log export --window-hours 168 --out week.jsonl
    """
    if out.exists():
        raise click.BadParameter(f"{out} is there already", param_hint="--out")
    suffix = out.suffix.removeprefix(".")
    form = form or (suffix if suffix in _FORMATS else _FORMATS[0])
    asked = urlencode({"format": form, "window_hours": window_hours})
    began = time.monotonic()
    size = _save(connect(), f"{_EXPORT}?{asked}", out)
    seconds = max(time.monotonic() - began, 0.001)
    fields(
        ("exported", out),
        ("format", form),
        ("bytes", f"{size:,} ({size / _MEGA / seconds:.1f} MB a second)"),
    )


def _save(server: Server, path: str, out: Path) -> int:
    """The number of bytes. Raises ConfigError where they cannot be written, RemoteError."""
    size = 0
    with waiting("exporting", lambda: f"{size / _MEGA:.1f} MB, "):
        try:
            with whole_file.writing(out, mode=_MODE) as file:
                for piece in server.stream(path):
                    file.write(piece)
                    size += len(piece)
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}.") from error
    return size
