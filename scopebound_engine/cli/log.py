"""`log`: the decision log, from verifying it to reading it."""

import click

from scopebound_engine.cli import log_export, log_read, log_reproduce, log_verify
from scopebound_engine.cli.ending import EndingGroup


class _LogGroup(EndingGroup):
    interrupted = "nothing was changed"


@click.group(cls=_LogGroup)
def log() -> None:
    """The decision log: what was decided and changed, signed as it grows.

    What reads it from a server finds it at SCOPEBOUND_BASE_URL, or SCOPEBOUND_HOST and
    SCOPEBOUND_PORT, and the key in SCOPEBOUND_API_KEY, or the data folder; the key needs the scope
    audit.
    """


for command in (
    log_read.tail,
    log_read.show,
    log_export.export,
    log_verify.verify,
    log_verify.key,
    log_reproduce.reproduce,
):
    log.add_command(command)
