"""`policy mutate`: faults that no test of a folder of policies would notice."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine.author import folder
from scopebound_engine.author.folder import Sources
from scopebound_engine.author.mutation import mutate as author
from scopebound_engine.author.mutation.mutants import Mutant, Score
from scopebound_engine.cli import findings
from scopebound_engine.cli.bundle_files import FOLDER
from scopebound_engine.cli.ending import REFUSED, as_json
from scopebound_engine.cli.terminal import columns, json_document, printable, waiting
from scopebound_engine.rego.mutants.mutation import Mutation

_COLORS: Final = {"+": "green", "-": "red", "@": "cyan"}
# Below it a policy is not called well tested.
_GOOD: Final = 95
# Tests that come to a survivor, of which so many are named.
_NAMED: Final = 3
_ALL: Final = 0
_ONE: Final = 1
_TWO: Final = 2


@click.command()
@click.argument("source", metavar="FOLDER", type=FOLDER)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 100),
    metavar="N",
    help="End with 1 where the score is below N percent.",
)
@click.option(
    "-r",
    "--rules",
    "pattern",
    default="",
    metavar="REGEX",
    help="Only faults of rules in whose full name (data.<package>.<rule>) this is found.",
)
@click.option(
    "--matrix",
    is_flag=True,
    help="Find every test that notices a fault, not only the first, and count what they notice; "
    "--redundant is a part of that. Takes several times as long.",
)
@click.option(
    "--redundant",
    is_flag=True,
    help="Name the tests that notice no fault which no other test notices: without any one of them "
    "the score would be the same. Takes a few times as long.",
)
@click.option("--list", "only_list", is_flag=True, help="List the faults and run nothing.")
@as_json
def mutate(
    source: Path,
    threshold: float | None,
    pattern: str,
    matrix: bool,
    redundant: bool,
    only_list: bool,
    as_json: bool,
) -> None:
    """Find faults in the policies of FOLDER that no test would notice.

    Each mutant is the policy with one small fault in it: a condition or negation dropped, a clause,
    an else or a default deleted, a comparison shifted (< to <=, == to !=), a type check that lets
    pass whatever is there or forgets what is absent, a list that a name is in where one of other
    case or a shorter one is, a number, text or boolean changed, an element of an array or set left
    out. The tests that come to the changed lines are run against it. One that fails kills it; so
    does one that takes far longer than before or whose process the engine ends. The score is the
    share of mutants that are killed.

    Survivors are shown as a diff, with what kind of test would kill them. One that no test can tell
    from the policy belongs into FOLDER/equivalents.yaml, with the reason; it is left out of the
    score. Entries that no longer hold are findings.

    \b
    equivalents:
      - file: shop/deny/closed.rego
        rule: data.shop.deny.open
        mutation: without `is_number(hour)`
        reason: The comparison below is undefined for anything else.

    Ends with 2 where a test fails without any fault.

    \b
    Examples:
      scopebound-engine policy mutate policies --threshold 95
      scopebound-engine policy mutate policies -r time_violation
    """
    sources = folder.read(source)
    if only_list:
        _list(author.mutants(sources, pattern), sources, as_json=as_json)
        return
    enough = _ALL if matrix else _TWO if redundant else _ONE
    score = _score(sources, pattern, enough)
    is_below = threshold is not None and score.percent < threshold
    if as_json:
        json_document(_document(score, threshold, enough, ok=not (is_below or score.findings)))
    else:
        _tell(score, sources, enough)
        if is_below:
            click.echo(f"less than the {threshold:g} % that are asked for")
    if is_below or score.findings:
        click.get_current_context().exit(REFUSED)


def _score(sources: Sources, pattern: str, killers: int) -> Score:
    said = ""

    def progress(done: int, everything: int) -> None:
        nonlocal said
        said = f"{done} of {everything} mutants, " if done else ""

    with findings.refusing(sources), waiting("mutating", lambda: said):
        return author.score(sources, pattern, killers=killers, progress=progress)


def _list(mutations: Sequence[Mutation], sources: Sources, *, as_json: bool) -> None:
    if as_json:
        json_document([_mutation(mutation) for mutation in mutations])
        return
    for mutation in mutations:
        click.echo(printable(f"{_place(mutation, sources)}: {mutation.kind}: {mutation.words}"))
    click.echo(f"{len(mutations)} mutants")


def _tell(score: Score, sources: Sources, enough: int) -> None:
    for mutant in score.survivors:
        for line in _survivor(mutant, sources):
            click.echo(line)
        click.echo()
    findings.show(score.findings, sources)
    for mutant in score.untested:
        name = printable(mutant.mutation.rule)
        what = "has no test: nothing comes to it" if not mutant.tests else "has no test of its own"
        click.echo(f"{_place(mutant.mutation, sources)}: {name} {what}")
    if enough == _ALL:
        killed = len(score.of("killed"))
        click.echo(f"{score.kills} kills, {score.kills / max(killed, 1):.1f} a mutant")
    if enough != _ONE:
        _tell_redundant(score)
    for line in _table(score):
        click.echo(line)
    click.echo(_sum(score))


def _survivor(mutant: Mutant, sources: Sources) -> Iterator[str]:
    mutation = mutant.mutation
    place = click.style(printable(_place(mutation, sources)), bold=True)
    yield f"{place}: {mutation.kind} in {printable(mutation.rule)}"
    for line in mutant.diff.splitlines()[2:]:
        yield "  " + click.style(
            "\t".join(map(printable, line.split("\t"))), fg=_COLORS.get(line[:1])
        )
    yield f"  mutation: {printable(mutation.words)}"
    if mutant.tests:
        yield f"  survives: {printable(_named(mutant.tests))}"
    yield f"  {printable(mutant.advice)}"


def _named(tests: Sequence[str]) -> str:
    named = ", ".join(test.removeprefix("data.") for test in tests[:_NAMED])
    return named + (f" and {len(tests) - _NAMED} more" if len(tests) > _NAMED else "")


def _tell_redundant(score: Score) -> None:
    many = f"{len(score.redundant)} of {len(score.tests)} tests"
    click.echo(f"{many}: without any one of them the score would be the same")
    for test in score.redundant:
        click.echo(f"  {printable(test)}")


def _table(score: Score) -> Iterator[str]:
    kinds = dict.fromkeys(mutant.mutation.kind for mutant in score.mutants)
    rows: list[tuple[str, ...]] = [("fault", "mutants", "killed", "survived", "equivalent")]
    for kind in kinds:
        of_kind = [mutant.outcome for mutant in score.mutants if mutant.mutation.kind == kind]
        survived = of_kind.count("survived") + of_kind.count("unreached")
        counts = (len(of_kind), of_kind.count("killed"), survived, of_kind.count("equivalent"))
        rows.append((kind, *map(str, counts)))
    yield from columns(rows)


def _sum(score: Score) -> str:
    killed, survived = len(score.of("killed")), len(score.survivors)
    equivalent, refused = len(score.of("equivalent")), len(score.of("refused"))
    color = "green" if score.percent >= _GOOD else "red"
    percent = click.style(f"{_rounded(score.percent)} %", fg=color, bold=True)
    parts = [f"{killed} of {killed + survived} mutants killed"]
    parts += [f"{equivalent} equivalent"] if equivalent else []
    parts += [f"{refused} that do not compile left out"] if refused else []
    return f"mutation score {percent}: {', '.join(parts)}; {score.seconds:.1f} s"


def _rounded(percent: float) -> str:
    """One decimal, rounded down: a score is never said to be what it is below."""
    return f"{int(percent * 10) / 10:.1f}"


def _place(mutation: Mutation, sources: Sources) -> str:
    return f"{sources.path(mutation.file)}:{mutation.line}"


def _document(score: Score, threshold: float | None, enough: int, *, ok: bool) -> dict[str, Any]:
    untested = [mutant.mutation.rule for mutant in score.untested]
    return {
        "ok": ok,
        "score": score.percent,
        "threshold": threshold,
        "killed": len(score.of("killed")),
        "survived": len(score.survivors),
        "equivalent": len(score.of("equivalent")),
        "refused": len(score.of("refused")),
        "seconds": score.seconds,
        "untested_rules": untested,
        "findings": [asdict(finding) for finding in score.findings],
        "tests": score.tests,
        "kills": score.kills if enough == _ALL else None,
        "redundant_tests": score.redundant if enough != _ONE else None,
        "mutants": [_mutant(mutant) for mutant in score.mutants],
    }


def _mutant(mutant: Mutant) -> dict[str, Any]:
    return {
        **_mutation(mutant.mutation),
        "outcome": mutant.outcome,
        "reached_by": mutant.tests,
        "killed_by": mutant.killers,
        "message": mutant.message,
        "reason": mutant.reason,
        "diff": mutant.diff,
        "advice": mutant.advice if mutant.outcome in {"survived", "unreached"} else "",
    }


def _mutation(mutation: Mutation) -> dict[str, Any]:
    return {
        "file": mutation.file,
        "line": mutation.line,
        "rule": mutation.rule,
        "kind": mutation.kind,
        "mutation": mutation.words,
    }
