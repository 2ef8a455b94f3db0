"""`log verify|key`: whether a log is as it was written, and by which key that is told."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scopebound_engine.cli.bundle_files import FILE, THERE
from scopebound_engine.cli.ending import FAILED, REFUSED, as_json
from scopebound_engine.cli.terminal import json_document, printable
from scopebound_engine.errors import ConfigError, InputError

if TYPE_CHECKING:
    from scopebound_engine.log.flaws import Flaw
    from scopebound_engine.log.notes import VerifierKey
    from scopebound_engine.log.verify import Checked, Report

_EXIT_CODES: Final = f"""\b
Exit codes:
  0  sound, as far as it was told that it could be checked
  {REFUSED}  not sound: the first bad record is named
  {FAILED}  not verified: wrong usage, or something cannot be read
"""


@click.command(epilog=_EXIT_CODES)
@click.argument("paths", nargs=-1, type=THERE, metavar="[PATH]...")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY|FILE",
    help="A public key, or a file of some, one a line: see log key. Repeat for several.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=FILE,
    help="Checkpoints that were kept elsewhere. Repeat for several files.",
)
@as_json
def verify(
    paths: tuple[Path, ...], keys: tuple[str, ...], checkpoints: tuple[Path, ...], as_json: bool
) -> None:
    """Verify a log, and name the first record that is not as it was written.

    A PATH is the folder of a journal, one of its files, or an export (jsonl). Without any it is
    this node's own log, with its own key. No server is asked, and no database.

    The checkpoints that lie with a journal are those that its node signed. Whoever has taken over
    the node can sign others; only those that were kept elsewhere tell then.

    \b
    Example: scopebound-engine log verify journal/ --key node.vkey --checkpoint kept.txt
    """
    from scopebound_engine.log import sources, verify

    found = list(paths or [_own_log()])
    known = [key for given in keys for key in _keys(given)] or ([] if paths else [_own_key()])
    try:
        read = sources.sources(found)
        with _progress(sum(source.bytes() for source in read)) as progress:
            report = verify.verify(read, known, checkpoints, progress=progress)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if as_json:
        json_document(_document(report))
    else:
        _tell(report)
    if report.flaws:
        sys.exit(REFUSED)


@click.command()
@click.option("--all", "all_", is_flag=True, help="Those of all nodes, from the database.")
def key(all_: bool) -> None:
    """Show the public key that this node's checkpoints are verified with.

    Keep it where nobody who can change the log can change it.
    """
    click.echo("\n".join(map(str, _published() if all_ else [_own_key()])))


def _tell(report: "Report") -> None:
    for one in report.checked:
        click.echo(printable(_line(one)))
    for flaw in report.flaws:
        click.echo(printable(f"NOT SOUND ({flaw.kind}) {flaw}"))
    for note in report.notes:
        click.echo(printable(f"note: {note}"))
    if not report.flaws:
        click.echo("nothing wrong was found")


def _line(one: "Checked") -> str:
    if not one.first:
        return f"node {one.node}: no record"
    vouched = f"checkpoints vouch up to {one.proven}" if one.proven else "no checkpoint covers them"
    return f"node {one.node}: records {one.first} to {one.last} follow one another, {vouched}"


def _document(report: "Report") -> dict[str, Any]:
    return {
        "sound": not report.flaws,
        "checked": [asdict(one) for one in report.checked],
        "flaws": [_flaw(flaw) for flaw in report.flaws],
        "notes": report.notes,
    }


def _flaw(flaw: "Flaw") -> dict[str, Any]:
    fields = asdict(flaw)
    place: dict[str, Any] = fields.pop("place")
    return fields | place


def _keys(given: str) -> list["VerifierKey"]:
    """The keys that an argument is or names. Raises InputError, ConfigError."""
    from scopebound_engine.log.notes import VerifierKey

    if "+" in given and not Path(given).exists():
        return [VerifierKey.parse(given.strip())]
    try:
        lines = Path(given).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{given} is no key, and no file of keys: {error}") from error
    try:
        found = [VerifierKey.parse(line.strip()) for line in lines if line.strip()]
    except InputError as error:
        raise ConfigError(
            f"{given} is no file of keys: {error}; `log key` and GET /mgmt/v1/audit/keys show them."
        ) from error
    if not found:
        raise ConfigError(f"{given} holds no key.")
    return found


def _own_log() -> Path:
    from scopebound_engine.config import from_env
    from scopebound_engine.node import log_dir

    return log_dir(from_env())


def _own_key() -> "VerifierKey":
    from scopebound_engine.config import from_env
    from scopebound_engine.log import log_keys
    from scopebound_engine.node import node_id

    data_dir = from_env().data_dir
    return log_keys.read(data_dir, node_id(data_dir)).verifier


def _published() -> Sequence["VerifierKey"]:
    from scopebound_engine.config import from_env
    from scopebound_engine.log import log_keys
    from scopebound_engine.preparation import open_migrated

    return [one.key for one in log_keys.published(open_migrated(from_env()))]


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], object]]:
    """On a terminal a bar of how many of so many bytes were read; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _read: None
        return
    with click.progressbar(length=length, label="verifying", file=sys.stderr) as bar:
        yield bar.update
