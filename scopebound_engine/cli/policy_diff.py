"""`policy diff`: what changes from some policies to others, as `bundle diff` shows it."""

from pathlib import Path

import click

from scopebound_engine.author.diff import between
from scopebound_engine.cli.bundle_diff import lines
from scopebound_engine.cli.bundle_files import THERE
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.terminal import json_document


@click.command()
@click.argument("old", type=THERE)
@click.argument("new", type=THERE)
@click.option("--exit-code", is_flag=True, help="End with 1 if there is a difference.")
@as_json
def diff(old: Path, new: Path, exit_code: bool, as_json: bool) -> None:
    """Show what changes from the policies OLD to NEW: by rule, deny code and value.

    Each is a folder with its manifest, or an archive. Comments, layout and the files that rules
    stand in make no difference. Of tests only the names are shown. To compare with what a server
    runs: bundle diff active FOLDER.

    \b
    Example: scopebound-engine policy diff bundles/scopebound-1.0.0.tar.gz policies
    """
    found = between(old, new)
    if as_json:
        json_document(found.as_dict())
    else:
        click.echo("\n".join(lines(found)))
    if exit_code and not found.same:
        click.get_current_context().exit(REFUSED)
