"""`policy new`: what a policy is begun with, ready to edit."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from scopebound_engine.author.making import new as maker
from scopebound_engine.author.making.new import NewDeny
from scopebound_engine.cli.bundle_files import FOLDER, manifest_option
from scopebound_engine.cli.ending import as_json
from scopebound_engine.cli.terminal import json_document, printable
from scopebound_engine.verdict import SEVERITIES


@click.group()
def new() -> None:
    """Begin something new, with an example that works."""


@new.command()
@click.argument("code")
@click.option(
    "--severity",
    type=click.Choice(SEVERITIES),
    default="high",
    show_default=True,
    help="How much a denial with the code means.",
)
@click.option(
    "--dir",
    "policies",
    type=FOLDER,
    default="policies",
    show_default=True,
    help="The folder of policies.",
)
@manifest_option
@as_json
def deny(code: str, severity: str, policies: Path, manifest: Path | None, as_json: bool) -> None:
    """Begin a deny code: a rule, its tests and cases, and its entry in the manifest.

    CODE is 3 to 64 of A-Z, 0-9 and _, a letter first. The files are named as it is and lie where
    the folder has its other deny rules. The rule is an example that is about a tool of its own,
    example_tool, and therefore denies no agent anything until it is edited; check, test and fmt are
    content with it at once. Nothing is overwritten.

    \b
    Example: scopebound-engine policy new deny NIGHT_TRANSFER --severity medium
    """
    made = maker.deny(policies, code, severity, manifest)
    if as_json:
        json_document({name: str(value) for name, value in asdict(made).items()})
    else:
        _tell(made, policies)


def _tell(made: NewDeny, policies: Path) -> None:
    name = made.code.lower()
    manifest = Path(os.path.relpath(made.manifest))
    lines = (
        f"made     {made.rule}",
        f"made     {made.tests}",
        f"made     {made.cases}",
        f"changed  {manifest}: {made.code}, severity {made.severity}",
        "",
        "Edit them, and what the manifest says of the code. Then:",
        f"  scopebound-engine policy check {policies}",
        f"  scopebound-engine policy test {policies} -r {name}",
        f"  scopebound-engine policy fmt {policies}",
    )
    for line in lines:
        click.echo(printable(line))
