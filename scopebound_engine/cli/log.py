"""`log`: the decision log, from verifying it to reading it."""

import click

from scopebound_engine.cli import log_verify
from scopebound_engine.cli.ending import EndingGroup


@click.group(cls=EndingGroup)
def log() -> None:
    """The decision log: what was decided and changed, signed as it grows."""


for command in (log_verify.verify, log_verify.key):
    log.add_command(command)
