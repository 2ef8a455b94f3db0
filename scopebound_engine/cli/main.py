"""scopebound-engine: the command. Each noun is a file; help builds nothing."""

import sys
from typing import Final

import click

from scopebound_engine.cli.lazy import LazyGroup
from scopebound_engine.errors import ScopeboundError

_COMMANDS: Final = {
    "serve": "scopebound_engine.cli.serve:serve",
    "keys": "scopebound_engine.cli.keys:keys",
    "bundle": "scopebound_engine.cli.bundle:bundle",
    "trust": "scopebound_engine.cli.trust:trust",
    "policy": "scopebound_engine.cli.policy:policy",
    "role": "scopebound_engine.cli.role:role",
    "log": "scopebound_engine.cli.log:log",
    "drift": "scopebound_engine.cli.drift:drift",
    "demo": "scopebound_engine.cli.demo:demo",
}


@click.group(
    cls=LazyGroup,
    commands_at=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="scopebound-engine")
def cli() -> None:
    """A policy engine for AI agents: signed Rego bundles decide every tool call."""


def main() -> None:
    """Run the command; what is known to go wrong ends in one sentence and exit code 1."""
    try:
        cli()
    except ScopeboundError as error:
        click.echo(f"scopebound-engine: {error}", err=True)
        sys.exit(1)
