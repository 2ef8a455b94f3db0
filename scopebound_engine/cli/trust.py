"""`trust`: whose bundles a server believes. The folder of public keys that it reads."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from scopebound_engine.bundle.trust import folder as trust_folder
from scopebound_engine.bundle.trust.keys import TrustedKey, TrustedKeys
from scopebound_engine.bundle.trust.trusted_key import TIME_UNKNOWN
from scopebound_engine.cli.node_log import Record, recorded
from scopebound_engine.cli.terminal import printable
from scopebound_engine.config import from_env
from scopebound_engine.times import timestamp

_folder = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder. Without: what SCOPEBOUND_BUNDLE_KEYS names, or the data folder's own.",
)


@click.group()
def trust() -> None:
    """The public keys whose bundles a server believes: list, add, revoke.

    Servers read the folder anew for every bundle; none has to be started again.
    """


@trust.command("list")
@_folder
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_(folder: Path | None, as_json: bool) -> None:
    """List the keys: id, name, algorithm, for how long, and whether that is so now."""
    now = datetime.now(UTC)
    keys = TrustedKeys.read(folder or from_env().trusted_keys_dir).keys
    if as_json:
        click.echo(json.dumps([_document(key, now) for key in keys], indent=2))
        return
    for key in keys:
        click.echo(_line(key, now))


@trust.command()
@click.argument("pem", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_folder
@click.option("--name", help="What to call it. Without: the name of the file.")
@click.option(
    "--not-after",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="From when on it is trusted no more (UTC). Without: never.",
)
def add(pem: Path, folder: Path | None, name: str | None, not_after: datetime | None) -> None:
    """Trust the public key in the file PEM.

    \b
    Example: scopebound-engine trust add release-2027.pem --not-after 2028-02-01
    """
    with _changing(folder) as (trusted, record):
        key = trust_folder.add(
            trusted,
            pem,
            name=name,
            not_after=not_after.replace(tzinfo=UTC) if not_after else None,
        )
        record("bundle_key.trusted", _subject(key), {"not_after": _time(key.not_after)})
    click.echo(_line(key, datetime.now(UTC)))


@trust.command()
@click.argument("key")
@_folder
@click.option("--reason", required=True, help="Why; whoever brings a bundle it signed is told.")
def revoke(key: str, folder: Path | None, reason: str) -> None:
    """Revoke the KEY of this id or name, at once and for good.

    What it signed is refused from now on, rollbacks too. A bundle in force that it signed goes on
    deciding, and /healthz says so until another is activated.

    \b
    Example: scopebound-engine trust revoke release-2026 --reason "the laptop was stolen"
    """
    now = datetime.now(UTC)
    with _changing(folder) as (trusted, record):
        revoked = trust_folder.revoke(trusted, key, reason=reason, at=now)
        record("bundle_key.revoked", _subject(revoked), {"reason": revoked.revoked_reason})
    click.echo(_line(revoked, now))


@contextmanager
def _changing(folder: Path | None) -> Iterator[tuple[Path, Record]]:
    """The folder, and who records a change of it: of the node whose folder it is."""
    config = from_env()
    if folder is not None and folder.resolve() != config.trusted_keys_dir:
        yield folder, lambda *_: None
        return
    with recorded(config) as record:
        yield config.trusted_keys_dir, record


def _subject(key: TrustedKey) -> dict[str, str]:
    return {"type": "bundle_key", "id": key.key_id, "name": key.name}


def _line(key: TrustedKey, now: datetime) -> str:
    state, why = key.judge(now)
    since = f"from {timestamp(key.not_before)} " if key.not_before else ""
    until = f"until {timestamp(key.not_after)}" if key.not_after else "without end"
    return printable(
        f"{key.key_id}  {key.name}  {key.algorithm}  {since}{until}  "
        f"{why.removeprefix('was ') if state == 'revoked' else state}"
    )


def _document(key: TrustedKey, now: datetime) -> dict[str, str | None]:
    return {
        "id": key.key_id,
        "name": key.name,
        "algorithm": key.algorithm,
        "not_before": _time(key.not_before),
        "not_after": _time(key.not_after),
        "revoked_at": _time(key.revoked),
        "reason": key.revoked_reason or None,
        "state": key.judge(now)[0],
        "file": str(key.file) if key.file else None,
    }


def _time(when: datetime | None) -> str | None:
    return None if when in {None, TIME_UNKNOWN} else timestamp(when)
