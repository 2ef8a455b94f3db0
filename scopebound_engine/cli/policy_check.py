"""`policy check`: what is wrong with a folder of policies, and how to mend it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from scopebound_engine.author import folder
from scopebound_engine.author.checking.check import Report
from scopebound_engine.author.checking.check import check as look
from scopebound_engine.author.folder import Sources
from scopebound_engine.cli import findings
from scopebound_engine.cli.bundle_files import FOLDER, manifest_option
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, waiting


@click.command()
@click.argument("source", metavar="FOLDER", type=FOLDER)
@manifest_option
@click.option("--strict", is_flag=True, help="Warnings count as well: end with 1 for them.")
@click.option("--acknowledge-floor", is_flag=True, help="Only warn of what the floor refuses.")
@as_json
def check(
    source: Path, manifest: Path | None, strict: bool, acknowledge_floor: bool, as_json: bool
) -> None:
    """Find what is wrong with the policies in FOLDER.

    All that a server asks of a bundle before it activates it, but for the bundle's tests, which
    policy test runs: syntax, references, built-ins, comparisons that mean something else than they
    seem, denials that are not declared or never heard, costs, and verdicts on typical and hostile
    calls. Deny rules need METADATA: title, description, custom.code and custom.severity. Each
    finding says where, what, and how to mend it.

    A folder without a manifest.json is checked as far as that goes.

    \b
    Example: scopebound-engine policy check policies --strict
    """
    sources = folder.read(source, manifest)
    with waiting("checking"):
        report = look(sources, acknowledge_floor=acknowledge_floor)
    counts = report.findings if strict else report.errors
    if as_json:
        json_document(_document(report, ok=not counts))
    else:
        tell(report, sources)
    if counts:
        click.get_current_context().exit(REFUSED)


def tell(report: Report, sources: Sources) -> None:
    """Write a report for people: each finding with its line, and the sum of it."""
    for finding in report.findings:
        findings.show([finding], sources)
        click.echo()
    for sentence in report.left_out:
        click.echo(f"{click.style('not checked', fg='yellow')}: {sentence}")
    files = f"{report.files} {'file' if report.files == 1 else 'files'}"
    click.echo(f"{_outcome(report)} in {files}, {report.seconds:.1f} s")


def _outcome(report: Report) -> str:
    parts = [
        click.style(f"{len(found)} {word}{'' if len(found) == 1 else 's'}", fg=color, bold=True)
        for word, found, color in (
            ("error", report.errors, "red"),
            ("warning", report.warnings, "yellow"),
        )
        if found
    ]
    return ", ".join(parts) or click.style("nothing found", fg="green", bold=True)


def _document(report: Report, *, ok: bool) -> dict[str, Any]:
    return {
        "ok": ok,
        "findings": [asdict(finding) for finding in report.findings],
        "not_checked": list(report.left_out),
        "files": report.files,
        "seconds": round(report.seconds, 3),
    }
