"""`policy eval`: what a policy decides of some facts."""

from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine import strict_json
from scopebound_engine.cli import explanations
from scopebound_engine.cli.bundle_files import THERE, manifest_option
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.policy_subject import facts_option, program_of, read_facts, subject_of
from scopebound_engine.cli.terminal import json_document, printable

_EXIT_CODES: Final = f"""\b
Exit codes:
  0  decided, whether allow or deny
  {REFUSED}  decided otherwise than --expect says
  2  not decided: wrong usage, unfit facts, or policies that cannot be run
"""


@click.command("eval", epilog=_EXIT_CODES)
@click.argument("source", metavar="FOLDER|FILE", type=THERE)
@facts_option
@click.option(
    "--entrypoint",
    metavar="PACKAGE/RULE",
    help="Ask this rule instead of the manifest's, and print its value as JSON.",
)
@click.option(
    "--expect", type=click.Choice(["allow", "deny"]), help="End with 1 for the other decision."
)
@manifest_option
@as_json
def evaluate(
    source: Path,
    facts_file: str,
    entrypoint: str | None,
    expect: str | None,
    manifest: Path | None,
    as_json: bool,
) -> None:
    """Decide one facts document by the policies in FOLDER, or by the bundle in FILE.

    The facts are what a rule sees as `input`; policy schema prints what they consist of, and a
    record of the decision log has them as its "input". They are decided by the evaluators that a
    server has. Facts that do not fit the schema are refused with the place and what is expected.

    With --entrypoint any rule can be asked for its value, also without a manifest.

    \b
    Example: scopebound-engine policy eval policies -i input.json
    Example: scopebound-engine policy eval policies -i - --entrypoint scopebound/facts/tool_granted
    """
    if entrypoint and expect:
        raise click.UsageError("--expect is about the decision, not about --entrypoint.")
    facts = read_facts(facts_file)
    if entrypoint:
        _ask(source, facts, entrypoint)
        return
    decision = _decide(source, manifest, facts, as_json=as_json)
    if expect not in (None, decision):
        click.get_current_context().exit(REFUSED)


def _decide(source: Path, manifest: Path | None, facts: dict[str, Any], *, as_json: bool) -> str:
    from scopebound_engine.author.explaining.explain import decide, violation

    subject, place = subject_of(source, manifest)
    verdict, origins = decide(subject, facts)
    decision = "allow" if verdict.allow else "deny"
    if as_json:
        found = [
            violation(one) | {"rules": origins.get(one.code, [])} for one in verdict.violations
        ]
        json_document({"decision": decision, "violations": found})
        return decision
    explanations.echo(explanations.verdict(verdict.allow, verdict.violations))
    for code in dict.fromkeys(one.code for one in verdict.violations):
        for rule in origins.get(code, []):
            file, _, line = rule.rpartition(":")
            click.echo(printable(f"  {code}: {place(file)}:{line}"))
    return decision


def _ask(source: Path, facts: dict[str, Any], entrypoint: str) -> None:
    from scopebound_engine.author.explaining.explain import value_of

    click.echo(strict_json.dumps(value_of(program_of(source, entrypoint), facts)))
