"""`bundle push`: from a folder or an archive to the version in force, checked before it goes."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from scopebound_engine.bundle import signature
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKey, TrustedKeys
from scopebound_engine.cli.bundle_files import FILE, THERE, built, manifest_option, read, signed
from scopebound_engine.cli.bundle_server import (
    BUNDLES,
    CHANGE_SECONDS,
    server_options,
    tell_change,
)
from scopebound_engine.cli.connect import Connect
from scopebound_engine.cli.ending import EXIT_CODES, as_json, warn
from scopebound_engine.cli.remote import finding_of
from scopebound_engine.cli.terminal import fields, json_document, waiting

_NO_MANIFEST = (
    "an archive has its manifest, and its signature; --manifest and --key are for a folder"
)
_TRIED = {
    "activate": "would be put in force",
    "store": "would be stored",
    "unchanged": "is in force already",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of a push."""

    key_file: Path | None
    manifest: Path | None
    trust: Path | None
    skip_check: bool
    description: str
    dry_run: bool
    no_activate: bool
    acknowledge_floor: bool
    backtest: str | None
    acknowledge_backtest: str

    @property
    def query(self) -> str:
        """What the server is asked, where it is not what it does anyway."""
        asked = {
            "description": self.description,
            "dry_run": "true" if self.dry_run else "",
            "activate": "false" if self.no_activate else "",
            "acknowledge_floor": "true" if self.acknowledge_floor else "",
            "backtest": self.backtest,
            "acknowledge_backtest": self.acknowledge_backtest,
        }
        return urlencode({name: value for name, value in asked.items() if value})


@click.command(epilog=EXIT_CODES)
@click.argument("source", metavar="FILE|POLICIES", type=THERE)
@click.option("--key", "key_file", type=FILE, help="The private key that signs POLICIES (PEM).")
@manifest_option
@click.option(
    "--trust",
    type=THERE,
    help="The public keys that the server trusts, to check with here. Without: that of --key.",
)
@click.option("--skip-check", is_flag=True, help="Leave the checks to the server.")
@click.option("--description", default="", help="What changes, for those who read the list.")
@click.option("--dry-run", is_flag=True, help="Let the server check it, and change nothing.")
@click.option("--no-activate", is_flag=True, help="Store it only; bundle activate follows.")
@click.option(
    "--acknowledge-floor",
    is_flag=True,
    help="Activate it although it allows what every bundle must deny; needs an admin key.",
)
@click.option(
    "--backtest",
    type=click.Choice(["required"]),
    help="Let the server refuse it if calls that were denied in the last 24 h would be allowed.",
)
@click.option(
    "--acknowledge-backtest",
    default="",
    metavar="DIGEST",
    help="Activate it although they would be: the digest that the refusal told.",
)
@as_json
@server_options
def push(connect: Connect, source: Path, as_json: bool, **options: Any) -> None:
    """Put a bundle in force on a server.

    It is an archive FILE, or the folder POLICIES, which is built and signed with --key. What the
    server would refuse is found here first, if it is known whose signature to trust; the server
    checks everything again. What is in force already is left as it is: a push may be repeated.

    \b
    Example: scopebound-engine bundle push policies --key keys/bundle.key --description "no loops"
    """
    wishes = Wishes(**options)
    server = connect()
    data, trusted = _packed(source, wishes)
    checked = _checked_here(data, trusted, wishes)
    with waiting(f"{server.url} checks and activates"):
        path = f"{BUNDLES}/upload?{wishes.query}"
        answer = server.change("POST", path, data, seconds=CHANGE_SECONDS)
    warn([finding_of(each) for each in answer["warnings"]])
    if not as_json:
        fields(("checked", checked))
    _tell(answer, as_json=as_json)


def _packed(source: Path, wishes: Wishes) -> tuple[bytes, TrustedKeys | None]:
    """The archive to send, and whose signature on it to believe here."""
    trusted = TrustedKeys.read(wishes.trust) if wishes.trust else None
    if not source.is_dir():
        if wishes.key_file or wishes.manifest:
            raise click.UsageError(_NO_MANIFEST)
        return read(source), trusted
    if wishes.key_file is None:
        raise click.UsageError("a folder is built and signed: name the private key with --key")
    key = SigningKey.read(wishes.key_file)
    data = archive.write(signed(built(source, wishes.manifest), key))
    return data, trusted or TrustedKeys((_public_half(key, wishes.key_file.stem),))


def _public_half(key: SigningKey, name: str) -> TrustedKey:
    return TrustedKey(key.private.public_key(), key.algorithm, key.key_id, name)


def _checked_here(data: bytes, trusted: TrustedKeys | None, wishes: Wishes) -> str:
    """Refuse what the server would refuse; how that was done."""
    if wishes.skip_check:
        return "by the server only: --skip-check"
    if trusted is None:
        return "by the server only: no --trust to check the signature with"
    started = time.perf_counter()
    with waiting("checking here"):
        gate.require(signature.verify(data, trusted), acknowledge_floor=wishes.acknowledge_floor)
    return f"here in {time.perf_counter() - started:.1f} s, and by the server"


def _tell(answer: dict[str, Any], *, as_json: bool) -> None:
    if "converged" in answer:
        tell_change(answer, "in force", as_json=as_json)
    elif as_json:
        json_document(answer)
    elif answer.get("dry_run"):
        fields(
            ("version", answer["version"]),
            ("identity", answer["identity"]),
            ("signed by", answer["key_id"]),
            ("state", f"{_TRIED[answer['outcome']]}; a dry run changes nothing"),
        )
    else:
        fields(
            ("version", answer["version"]),
            ("id", answer["id"]),
            ("checksum", answer["checksum"]),
            ("state", f"stored; scopebound-engine bundle activate {answer['id']}"),
        )
