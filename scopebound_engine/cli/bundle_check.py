"""`bundle verify|inspect`: whether a server would take an archive, and what one holds."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from scopebound_engine.bundle import signature
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.envelope import SIGNATURES, Envelope
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.cli.bundle_files import FILE, THERE, read
from scopebound_engine.cli.bundle_server import (
    bundle_id,
    download,
    is_version,
    server_options,
)
from scopebound_engine.cli.connect import Connect
from scopebound_engine.cli.ending import as_json, warn
from scopebound_engine.cli.terminal import fields, json_document, table, waiting

_NO_GATE = gate.Report((), ())


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--trust",
    type=THERE,
    required=True,
    help="The public keys to trust: a folder of them, or one file.",
)
@click.option("--signature-only", is_flag=True, help="Leave out the checks of the policy itself.")
@click.option("--acknowledge-floor", is_flag=True, help="Only warn of what the floor refuses.")
@click.option("--timings", is_flag=True, help="Show how long each step took.")
@as_json
def verify(
    file: Path,
    trust: Path,
    signature_only: bool,
    acknowledge_floor: bool,
    timings: bool,
    as_json: bool,
) -> None:
    """Check the archive FILE as a server would.

    All that a server asks of a bundle itself before it activates it. What it has in force already,
    only the server knows: bundle push --dry-run asks it.

    \b
    Example: scopebound-engine bundle verify bundles/shipped-1.0.0.tar.gz --trust keys/
    """
    started = time.perf_counter()
    bundle = signature.verify(read(file), TrustedKeys.read(trust))
    steps = [("1 bytes, 2 signature", time.perf_counter() - started)]
    report = _NO_GATE
    if not signature_only:
        with waiting("checking the policy"):
            report = gate.require(bundle, acknowledge_floor=acknowledge_floor)
    steps += report.timings
    if as_json:
        json_document(_verified(bundle, report, steps))
        return
    _tell_verified(bundle, gated=not signature_only)
    warn(report.warnings)
    if timings:
        table("seconds", [(f"{seconds:7.3f}", step) for step, seconds in _with_total(steps)])


@click.command()
@click.argument("bundle", metavar="FILE|ID")
@as_json
@server_options
def inspect(connect: Connect, bundle: str, as_json: bool) -> None:
    """Show what an archive holds.

    It is a FILE, or on a server the version ID, `active` or `previous`. Nothing is verified here:
    that is bundle verify.

    \b
    Example: scopebound-engine bundle inspect bundles/shipped-1.0.0.tar.gz
    """
    if is_version(bundle):
        server = connect()
        data = download(server, bundle_id(server, bundle))
    else:
        data = read(Path(bundle))
    shown = _description(data)
    if as_json:
        json_document(shown)
        return
    names = ("name", "version", "entrypoint", "checksum", "identity")
    fields(
        *((field, shown[field]) for field in names),
        ("signature", _signature_line(shown["signature"])),
    )
    table("deny codes", [(c["code"], c["severity"], c["description"]) for c in shown["codes"]])
    table("files", [(f"{f['bytes']:>9,}", f["name"]) for f in shown["files"]])


def _tell_verified(bundle: signature.VerifiedBundle, *, gated: bool) -> None:
    said = bundle.manifest
    policy = "passed: source, plan, built-ins, shapes, denials, costs, behaviour, tests"
    fields(
        ("archive", f"{len(bundle.files)} files, no duplicates, nothing after the end"),
        ("signature", f"by the trusted key {bundle.key_id}, over every file"),
        ("manifest", f"{said.name} {said.version}, {len(said.deny_codes)} deny codes"),
        *([("gate", policy)] if gated else []),
        ("checksum", bundle.checksum),
        ("identity", bundle.identity),
    )


def _verified(
    bundle: signature.VerifiedBundle, report: gate.Report, steps: Sequence[tuple[str, float]]
) -> dict[str, Any]:
    return {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "checksum": bundle.checksum,
        "identity": bundle.identity,
        "key_id": bundle.key_id,
        "warnings": [asdict(finding) for finding in report.warnings],
        "timings": [{"step": step, "seconds": round(seconds, 4)} for step, seconds in steps],
    }


def _with_total(steps: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    return [*steps, ("all", sum(seconds for _, seconds in steps))]


def _description(data: bytes) -> dict[str, Any]:
    files = archive.read(data)
    said = Manifest.of(files)
    return {
        "name": said.name,
        "version": said.version,
        "entrypoint": said.entrypoint,
        "checksum": hashlib.sha256(data).hexdigest(),
        "identity": signature.identity(files),
        "signature": _claimed(files),
        "codes": [asdict(code) for code in said.deny_codes],
        "files": [{"name": name, "bytes": len(files[name])} for name in files],
    }


def _claimed(files: Mapping[str, bytes]) -> dict[str, str | None] | None:
    if SIGNATURES not in files:
        return None
    envelope = Envelope.of(files)
    return {"key_id": envelope.kid, "algorithm": envelope.algorithm}


def _signature_line(claimed: Mapping[str, str | None] | None) -> str:
    if claimed is None:
        return "none: no server will accept the bundle"
    kid = claimed["key_id"] or "(not named)"
    return f"by the key {kid}, {claimed['algorithm']}; not verified"
