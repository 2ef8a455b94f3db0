"""`policy test`: the tests and case files of a folder of policies."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine import logs
from scopebound_engine.author import folder, tests
from scopebound_engine.author.folder import Sources
from scopebound_engine.author.tests import BAD, Report, TestResult
from scopebound_engine.cli import findings, junit
from scopebound_engine.cli.bundle_files import FOLDER, manifest_option, write
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, printable, table, waiting
from scopebound_engine.errors import ConfigError

_COLORS: Final = {"passed": "green", "failed": "red", "error": "red", "skipped": "yellow"}
_WORDS: Final = {"error": "could not be judged"}
_SLOWEST: Final = 5
_WIDTH: Final = 240


@click.command()
@click.argument("source", metavar="FOLDER", type=FOLDER)
@manifest_option
@click.option(
    "-r",
    "--run",
    "pattern",
    metavar="REGEX",
    help="Only what this regular expression finds in its name: tests by the full name of their "
    "rule (data.…), cases by FILE: NAME.",
)
@click.option("-v", "--verbose", is_flag=True, help="List what passes too, and the slowest.")
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the results to this file too, as JUnit XML for continuous integration.",
)
@as_json
def test(
    source: Path,
    manifest: Path | None,
    pattern: str | None,
    verbose: bool,
    junit_file: Path | None,
    as_json: bool,
) -> None:
    """Run the tests and case files of the policies in FOLDER.

    Tests are rules whose name begins with test_, in any module, as OPA runs them: each definition
    is a test, and passes if it is true; todo_test_ is skipped; `with` replaces input, data, rules,
    functions and built-ins. What failed is shown with the values that it saw.

    Case files are *_cases.yaml beside the rules: calls, each with what the policy is expected to
    say. They are decided by the evaluators of a server on what FOLDER builds into, so they need the
    manifest.

    \b
    roles:
      clerk: {allowed_tools: [read_invoices]}
    cases:
      - name: a tool that the role does not list
        role: clerk
        call: {tool_name: delete_invoice, call_args: {}}
        expect: {deny: SCOPE_VIOLATION}

    A role is what POST /mgmt/v1/roles takes. A case may also have: at, provisioned (times), session
    (facts of the session), spawn in place of call (a session that is asked for), or input in place
    of all (a whole Rego input). expect is allow, or deny with its code and, if you like, severity,
    retry_guidance, reason (a part of it) and codes (all).

    \b
    Examples: scopebound-engine policy test policies -r scope_violation
              scopebound-engine policy test policies --junit results.xml
    """
    logs.hush()
    sources = folder.read(source, manifest)
    with waiting("testing"), findings.refusing(sources):
        report = tests.run(sources, pattern)
    if not report.results:
        where = f" match {pattern}" if pattern else ""
        raise ConfigError(f"no tests in {source}{where}.")
    if junit_file is not None:
        write(junit_file, junit.document(report))
    if as_json:
        json_document(_document(report))
    else:
        _tell(report, sources, verbose)
    if report.bad:
        click.get_current_context().exit(REFUSED)


def _tell(report: Report, sources: Sources, verbose: bool) -> None:
    for result in report.results:
        if result.outcome in BAD:
            for line in _problem(result, sources):
                click.echo(line)
            click.echo()
        elif verbose:
            took = "" if result.outcome == "skipped" else f"  {result.seconds * 1_000:.1f} ms"
            outcome = click.style(f"{result.outcome:7}", fg=_COLORS[result.outcome])
            click.echo(f"{outcome} {printable(_name(result))}{took}")
    if verbose:
        slowest = sorted(report.results, key=lambda result: result.seconds, reverse=True)
        rows = [(f"{one.seconds * 1_000:.1f} ms", _name(one)) for one in slowest[:_SLOWEST]]
        table("slowest", rows)
        click.echo()
    click.echo(_sum(report))


def _name(result: TestResult) -> str:
    """Rules have a name of their own in all files, cases only in theirs."""
    return result.name if result.name.startswith("data.") else f"{result.file}: {result.name}"


def _problem(result: TestResult, sources: Sources) -> Iterator[str]:
    place = printable(f"{sources.path(result.file)}:{result.line}")
    outcome = click.style(f"{result.outcome:7}", fg=_COLORS[result.outcome], bold=True)
    yield f"{outcome} {click.style(printable(result.name), bold=True)}  {place}"
    if result.expression:
        yield f"        {_cut(printable(result.expression))}"
    if result.message or not result.expression:
        yield f"        {printable(result.message or 'is not true')}"
    width = max((len(printable(seen.text)) for seen in result.seen), default=0)
    for seen in result.seen:
        text = f"{printable(seen.text):{width}}"
        yield f"          {click.style(text, fg='cyan')}  {printable(seen.value)}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _sum(report: Report) -> str:
    parts = [
        click.style(f"{count} {_WORDS.get(outcome, outcome)}", fg=color if count else None)
        for outcome, color in _COLORS.items()
        if (count := report.count(outcome)) or outcome in {"passed", "failed"}
    ]
    counted = [
        f"{len(results)} {word}{'' if len(results) == 1 else 's'}"
        for results, word in ((report.tests, "test"), (report.cases, "case"))
        if results
    ]
    return f"{' and '.join(counted)}: {', '.join(parts)}, in {report.seconds:.1f} s"


def _document(report: Report) -> dict[str, Any]:
    outcomes: Sequence[str] = list(_COLORS)
    return {
        "ok": not report.bad,
        "counts": {outcome: report.count(outcome) for outcome in outcomes},
        "seconds": round(report.seconds, 3),
        "tests": [asdict(result) for result in report.tests],
        "cases": [asdict(result) for result in report.cases],
    }
