"""How an explanation is shown: the verdict, the rules that did it, and what would turn it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from scopebound_engine import strict_json
from scopebound_engine.cli.terminal import printable

if TYPE_CHECKING:
    from scopebound_engine.author.explaining.counterfactual import Counterfactual, Found
    from scopebound_engine.author.explaining.explain import Explanation
    from scopebound_engine.rego.tracing.told import Condition, Fact, Nearly
    from scopebound_engine.verdict import Violation

# Where a file of the policies lies.
Place = Callable[[str], str]

_MARKS: Final = {"held": ("✓", "green"), "failed": ("✗", "red"), "unreached": ("·", "white")}
# Of the rules that nearly fired, and of what is told below one condition; all with --all.
_NEARLY: Final = 5
_BELOW: Final = 4
_CHARACTERS: Final = 90


def lines(explanation: "Explanation", place: Place, *, everything: bool) -> Iterator[str]:
    """An explanation as styled lines."""
    yield from verdict(explanation.verdict.allow, explanation.verdict.violations)
    for rule in explanation.told.fired:
        yield ""
        yield _title("fired", "red", rule.code, f"{place(rule.file)}:{rule.line}")
        yield click.style(f"  {rule.line:>4} | ", dim=True) + printable(rule.source[0])
        for condition in rule.conditions:
            yield from _condition(condition, 1, _BELOW * 4 if everything else _BELOW)
        yield "    it read"
        yield from (f"      {_fact(one)}" for one in rule.facts)
    yield from _nearly(explanation.told.nearly, place, everything=everything)
    if explanation.change is not None:
        yield ""
        yield from _found(explanation.change)


def verdict(allow: bool, violations: "Sequence[Violation]") -> Iterator[str]:
    """A verdict as styled lines."""
    yield _bold("ALLOW", "green") if allow else _bold("DENY", "red")
    for one in violations:
        yield f"  {_bold(one.code, 'red')} ({one.severity})  {printable(one.reason)}"
        wait = f" {one.retry_after_seconds} s" if one.retry_after_seconds is not None else ""
        yield click.style(f"    retry_guidance: {one.retry_guidance}{wait}", dim=True)


def _nearly(rules: "Sequence[Nearly]", place: Place, *, everything: bool) -> Iterator[str]:
    told = rules if everything else rules[:_NEARLY]
    for rule in told:
        yield ""
        name = " or ".join(rule.codes) or "a rule"
        where = f"{place(rule.file)}:{rule.line}"
        yield _title("did not fire", "yellow", name, where)
        yield f"    {rule.held} of {rule.conditions} conditions held; the first that did not:"
        yield from _condition(rule.failed, 1, _BELOW * 4 if everything else _BELOW)
    if len(rules) > len(told):
        yield ""
        yield click.style(f"{len(rules) - len(told)} more rules did not fire (--all)", dim=True)


def _condition(condition: "Condition", depth: int, below: int) -> Iterator[str]:
    mark, color = _MARKS[condition.state]
    place = click.style(f"{condition.line}:{condition.column}", dim=True)
    margin = "    " * depth
    values = "  ".join(_fact(one) for one in condition.values)
    yield f"{margin}{click.style(mark, fg=color)} {place}  {printable(condition.text)}"
    if values and not condition.because:
        yield click.style(f"{margin}    {_shortened(values, 3 * _CHARACTERS)}", fg="cyan")
    for one in condition.because[:below]:
        yield from _condition(one, depth + 1, below)
    if len(condition.because) > below:
        yield click.style(f"{margin}    … {len(condition.because) - below} more (--all)", dim=True)


def _fact(fact: "Fact") -> str:
    if fact.state != "known":
        return printable(f"{fact.path} is {fact.state}")
    return printable(
        f"{fact.path} = {_shortened(strict_json.dumps(fact.value).decode(), _CHARACTERS)}"
    )


def _found(found: "Found") -> Iterator[str]:
    tried = f"{found.evaluations} evaluations"
    if found.unlike:
        yield f"{_bold('No change', 'yellow')} is offered: {found.unlike}."
        return
    if found.smallest is None:
        why = "none that was tried turns it" if found.complete else "the search was cut short"
        yield f"{_bold('No change', 'yellow')} was found that allows it: {why} ({tried})."
    else:
        yield f"{_bold('It would be allowed', 'green')}, as the policy says itself ({tried}):"
        yield from _changes(found.smallest)
    if found.by_role is not None and found.by_role != found.smallest:
        yield "or by another role alone:"
        yield from _changes(found.by_role)


def _changes(found: "Counterfactual") -> Iterator[str]:
    for change in found.changes:
        yield f"  {click.style('→', fg='green')} {printable(change.says)}"
        if change.assumes:
            yield click.style(f"    provided that {printable(change.assumes)}", dim=True)


def echo(found: Iterable[str]) -> None:
    """Write lines."""
    for line in found:
        click.echo(line)


def _title(word: str, color: str, name: str, where: str) -> str:
    return f"{click.style(word, fg=color)}  {_bold(name, color)}  {printable(where)}"


def _bold(text: str, color: str) -> str:
    return click.style(printable(text), fg=color, bold=True)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
