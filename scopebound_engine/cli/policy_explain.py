"""`policy explain`: why a policy decides some facts as it does, and what would turn it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scopebound_engine.cli import explanations
from scopebound_engine.cli.bundle_files import FILE, THERE, manifest_option
from scopebound_engine.cli.ending import as_json
from scopebound_engine.cli.explanations import Place
from scopebound_engine.cli.policy_subject import read_facts, subject_of
from scopebound_engine.cli.terminal import json_document, waiting

if TYPE_CHECKING:
    from scopebound_engine.author.explaining.explain import Explanation


@click.command()
@click.argument("what", metavar="FOLDER|FILE|RECORD_ID")
@click.option(
    "-i", "--input", "facts_file", metavar="FILE", help="The facts, JSON; - for standard input."
)
@click.option("--all", "everything", is_flag=True, help="Every rule that did not fire, in full.")
@click.option("--no-change", is_flag=True, help="Do not look for what would turn a denial.")
@manifest_option
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=FILE,
    help="For a record: the bundle that decided, if neither this node nor the database has it.",
)
@click.option(
    "--trust",
    type=THERE,
    help="For a record: the public keys that are believed. Without: those of this node.",
)
@as_json
def explain(
    what: str, facts_file: str | None, manifest: Path | None, as_json: bool, **options: Any
) -> None:
    """Tell why a call is decided as it is.

    Give facts and what decides them, a FOLDER of policies or the bundle in FILE; or the id of a
    recorded decision (decision_id), which is explained by the bundle that decided it.

    \b
    What is told:
      - every rule that fired, where it stands, each of its conditions with the values it saw, and
        the facts it read;
      - of the rules that did not fire, the nearest first, the condition that failed;
      - of a denial the smallest change that turns it: of the arguments, the tool, the time, the
        session, or else of the role. Each is tried on the policy itself before it is offered.

    \b
    Example: scopebound-engine policy explain policies -i input.json
    Example: scopebound-engine policy explain 019dd91c-3e7b-70a9-bb8d-363befbcc1d8
    """
    turn = not options["no_change"]
    if facts_file is not None:
        explanation, place = _of_facts(Path(what), manifest, facts_file, turn=turn)
    else:
        bundles, trust = options["bundles"], options["trust"]
        explanation, place = _of_record(what, bundles, trust, turn=turn)
    if as_json:
        from scopebound_engine.author.explaining.explain import document

        json_document(document(explanation))
    else:
        explanations.echo(explanations.lines(explanation, place, everything=options["everything"]))


def _of_facts(
    source: Path, manifest: Path | None, facts_file: str, *, turn: bool
) -> "tuple[Explanation, Place]":
    from scopebound_engine.author.explaining.explain import explain as look

    if not source.exists():
        raise click.UsageError(f"{source} is neither a folder of policies nor a bundle.")
    facts = read_facts(facts_file)
    subject, place = subject_of(source, manifest)
    with waiting("explaining"):
        return look(subject, facts, turn=turn), place


def _of_record(
    what: str, bundles: tuple[Path, ...], trust: Path | None, *, turn: bool
) -> "tuple[Explanation, Place]":
    from scopebound_engine.author.explaining.recorded import explain_record
    from scopebound_engine.cli.log_records import Records

    if Path(what).exists():
        raise click.UsageError("name the facts with -i, or the id of a recorded decision.")
    records = Records()
    (record,) = records.named(what)
    with waiting("explaining"):
        return explain_record(record, records.shelf(bundles, trust), turn=turn), str
