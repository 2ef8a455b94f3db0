"""`policy bench`: how fast a folder of policies decides."""

from dataclasses import asdict
from pathlib import Path

import click

from scopebound_engine.author import folder
from scopebound_engine.author.timing.bench import Bench
from scopebound_engine.author.timing.bench import bench as measure
from scopebound_engine.cli import findings
from scopebound_engine.cli.bundle_files import FOLDER, manifest_option
from scopebound_engine.cli.ending import as_json
from scopebound_engine.cli.policy_subject import read_facts
from scopebound_engine.cli.terminal import columns, json_document, printable, waiting


@click.command()
@click.argument("source", metavar="FOLDER", type=FOLDER)
@click.option(
    "-i",
    "--input",
    "inputs",
    metavar="FILE",
    multiple=True,
    help="Measure these facts, a JSON document as policy eval takes; may be given several times.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=3.0,
    show_default=True,
    help="How long to measure, all calls together.",
)
@manifest_option
@as_json
def bench(
    source: Path, inputs: tuple[str, ...], seconds: float, manifest: Path | None, as_json: bool
) -> None:
    """Measure how long the policies in FOLDER take to compile, and to decide.

    Without -i it asks the typical calls that a server tries a bundle with. What is measured is one
    evaluator on one core: no network, no token, no decision log.

    \b
    Example: scopebound-engine policy bench policies -i input.json
    """
    sources = folder.read(source, manifest)
    facts = {name: read_facts(name) for name in inputs}
    with waiting("measuring"), findings.refusing(sources):
        found = measure(sources, facts, seconds=seconds)
    if as_json:
        json_document(asdict(found))
    else:
        _tell(found)


def _tell(found: Bench) -> None:
    rows = [("call", "decision", "per second", "p50", "p99")]
    rows += [
        (
            printable(one.call),
            one.decision,
            f"{one.per_second:>10,.0f}",
            f"{one.p50_us:,.0f} µs",
            f"{one.p99_us:,.0f} µs",
        )
        for one in found.timings
    ]
    title, *lines = columns(rows)
    click.echo(click.style(title, bold=True))
    for line in lines:
        click.echo(line)
    click.echo(f"\ncompiled in {found.compile_seconds * 1_000:.0f} ms")
