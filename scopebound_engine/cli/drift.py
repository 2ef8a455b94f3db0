"""`drift`: what sessions of a role usually do, straight in the database, and how it is judged."""

import time
from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scopebound_engine.cli.node_log import Record, recorded
from scopebound_engine.cli.terminal import columns, json_document, printable
from scopebound_engine.config import Config, from_env
from scopebound_engine.errors import ConfigError
from scopebound_engine.role.model import Role
from scopebound_engine.role.values import is_uuid

if TYPE_CHECKING:
    from scopebound_engine.role.store import RoleStore
    from scopebound_engine.session.drift.baselines import Baselines
    from scopebound_engine.session.drift.fitting import RoleBaseline
    from scopebound_engine.session.drift.simulation import Delay, Outcome

_SUFFIXES: Final = (".svg", ".png")

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.group()
def drift() -> None:
    """Behavioural drift: the baselines of roles, fitted and shown, and a plot of the test."""


@drift.command()
@click.argument("roles", nargs=-1, metavar="[ROLE]...")
@click.option("--all", "of_all", is_flag=True, help="Fit the baselines of all roles.")
@_json
def fit(roles: tuple[str, ...], of_all: bool, as_json: bool) -> None:
    """Fit the baselines of roles, by name or UUID, to their sessions that have ended.

    A running server does so from time to time. Sessions that are provisioned from now on are judged
    by the new baseline, those that live by the one they began with.

    \b
    Example: scopebound-engine drift fit invoice-processor
    """
    from scopebound_engine.session.drift import fitting

    if bool(roles) == of_all:
        raise click.UsageError("name the roles, or say --all")
    config = from_env()
    store, baselines = _stores(config)
    found = store.list() if of_all else [_find(store, name) for name in roles]
    with recorded(config) as record:
        fitted = []
        for role in found:
            fitted.append(fitting.fit(baselines, store, role))
            _record(record, fitted[-1])
    if as_json:
        json_document([_document(each) for each in fitted])
        return
    for each in fitted:
        _print(each)


@drift.command()
@click.argument("role")
@_json
def show(role: str, as_json: bool) -> None:
    """Show the baseline of the ROLE of this name or UUID, and what would be noticed.

    The sentences are reckoned for the thresholds of the shipped bundle.
    """
    from scopebound_engine.session.drift import fitting

    store, baselines = _stores(from_env())
    found = fitting.newest(baselines, _find(store, role))
    if as_json:
        json_document(_document(found))
        return
    _print(found)
    if found.stored is not None:
        for notice in found.notices:
            click.echo(printable(f"- {notice}"))


@drift.command()
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write, .svg or .png.",
)
@click.option("--seed", type=click.IntRange(0), help="What chance begins with; the same again.")
def plot(file: Path, seed: int | None) -> None:
    """Simulate sessions of an invented role, plot their evidence and count false alarms.

    No server and no database is asked. Plots need matplotlib, of the extra "plot".

    \b
    Example: scopebound-engine drift plot --out drift.svg
    """
    if file.suffix not in _SUFFIXES:
        raise click.BadParameter(f"must end in {' or '.join(_SUFFIXES)}", param_hint="--out")
    try:
        from scopebound_engine.cli.drift_plot import draw
    except ModuleNotFoundError as error:
        raise ConfigError(
            'plots need matplotlib, which is not installed; it comes with the extra "plot": in a '
            "checkout `.venv/bin/pip install -e '.[plot]'`"
        ) from error
    from scopebound_engine.session.drift.simulation import CONCENTRATIONS, SEED, World, simulate

    seed = SEED if seed is None else seed
    draw([World(concentration, seed) for concentration in CONCENTRATIONS], file)
    _print_outcomes(simulate(concentration, seed) for concentration in CONCENTRATIONS)
    click.echo(f"{file} shows some of these sessions")


def _print_outcomes(outcomes: "Iterable[Outcome]") -> None:
    from scopebound_engine.session.drift.simulation import CALLS, SESSIONS

    click.echo(f"{SESSIONS:,} sessions of {CALLS} calls that follow the baseline, and others:")
    rows = [("CONCENTRATION", "FITTED", "FALSE ALARMS", "RARE TOOLS ONLY", "ALL TOOLS ALIKE")]
    for outcome in outcomes:
        rows.append(
            (
                "∞" if outcome.concentration == inf else f"{outcome.concentration:g}",
                f"{outcome.baseline.concentration:.1f}",
                f"{outcome.alarms} ({outcome.alarm_rate:.4f})",
                _delay(outcome.rare),
                _delay(outcome.flat),
            )
        )
    for line in columns(rows):
        click.echo(line)


def _delay(delay: "Delay") -> str:
    return f"proven at call {delay.proven:g}, denied at {delay.denied:g}"


def _print(found: "RoleBaseline") -> None:
    name = printable(found.role.name)
    if found.stored is None:
        click.echo(f"{name}: {found.notices[0]}")
        return
    baseline = found.stored.baseline
    click.echo(
        f"{name}: {baseline.sessions:,} sessions, {baseline.calls:,} calls, "
        f"concentration {baseline.concentration:.1f}"
    )
    shares = zip((*baseline.tools, "all others"), baseline.frequencies, strict=True)
    for line in columns([(tool, f"{share:7.2%}") for tool, share in shares]):
        click.echo(f"  {line}")


def _document(found: "RoleBaseline") -> dict[str, Any]:
    return {"role": found.role.name, **found.document()}


def _find(roles: "RoleStore", reference: str) -> Role:
    return roles.get(reference) if is_uuid(reference) else roles.by_name(reference)


def _record(record: Record, fitted: "RoleBaseline") -> None:
    if fitted.stored is not None:
        role = {"type": "role", "id": fitted.role.id, "name": fitted.role.name}
        record("role.baseline_fitted", role, {"baseline_id": fitted.stored.id})


def _stores(config: Config) -> "tuple[RoleStore, Baselines]":
    from scopebound_engine.preparation import open_migrated
    from scopebound_engine.role.store import RoleStore
    from scopebound_engine.session.drift.baselines import Baselines

    engine = open_migrated(config)
    return RoleStore(engine, time.time), Baselines(engine, time.time)
