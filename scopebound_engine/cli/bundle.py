"""`bundle`: from policies to a signed archive, and what an archive holds."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine.bundle import archive, content, keys, signature
from scopebound_engine.bundle.build import build as build_files
from scopebound_engine.bundle.envelope import SIGNATURES, Envelope
from scopebound_engine.bundle.manifest import FILE as MANIFEST
from scopebound_engine.bundle.manifest import Manifest
from scopebound_engine.cli.terminal import printable
from scopebound_engine.errors import ConfigError

_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_ANY: Final = click.Path(path_type=Path)

_policies = click.argument("policies", type=_FOLDER)
_manifest = click.option(
    "--manifest",
    type=_FILE,
    help="The manifest. Without: manifest.json in POLICIES, or else beside it.",
)
_key = click.option(
    "--key", "key_file", type=_FILE, required=True, help="The private key that signs (PEM)."
)


@click.group()
def bundle() -> None:
    """Policy bundles: make keys, build, sign, verify and inspect."""


@bundle.command()
@click.option("--out", type=_ANY, required=True, help="The folder for the two files.")
@click.option("--name", default="bundle", show_default=True, help="Their name.")
@click.option(
    "--algorithm",
    type=click.Choice(keys.ALGORITHMS),
    default="es256",
    show_default=True,
    help="An OPA server takes all but eddsa.",
)
def keygen(out: Path, name: str, algorithm: str) -> None:
    """Make a pair of keys.

    NAME.key signs and stays here; NAME.pem is for the servers.

    \b
    Example: scopebound-engine bundle keygen --out keys/
    """
    name = name + (keys.PS256_MARK if algorithm == "ps256" else "")
    private, public = out / f"{name}.key", out / f"{name}.pem"
    for file in (private, public):
        if file.exists():
            raise ConfigError(f"{file} is there already and is not overwritten; choose a --name.")
    key = keys.SigningKey.generate(algorithm)
    _write(private, key.private_pem().encode(), mode=0o600)
    _write(public, key.public_pem().encode())
    click.echo(f"private  {private}  keep it where bundles are signed")
    click.echo(f"public   {public}  copy it into the folder that SCOPEBOUND_BUNDLE_KEYS names")
    click.echo(f"key id   {key.key_id}")


@bundle.command()
@_policies
@click.argument("out", type=_ANY)
@_manifest
@_key
def stage(policies: Path, out: Path, manifest: Path | None, key_file: Path) -> None:
    """Lay out a signed bundle as a folder, for tar to pack.

    \b
    Example: scopebound-engine bundle stage policies rules --key keys/bundle.key
             tar -czf bundle.tar.gz -C rules .
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty folder; name a new one.")
    files = _signed(_built(policies, manifest), key_file)
    for name in files:
        _write(out / name, files[name])
    click.echo(f"{len(files)} files staged in {out}; pack them with:")
    click.echo(f"tar -czf bundle.tar.gz -C {out} .")


@bundle.command()
@_policies
@_manifest
@click.option("--key", "key_file", type=_FILE, help="The private key that signs (PEM).")
@click.option(
    "--out",
    type=_ANY,
    default="bundles",
    show_default=True,
    help="The archive, if it ends in .tar.gz or .tgz; otherwise the folder for it.",
)
def build(policies: Path, manifest: Path | None, key_file: Path | None, out: Path) -> None:
    """Build POLICIES into one archive, signed with --key.

    \b
    Example: scopebound-engine bundle build policies --key keys/bundle.key
    """
    files = _built(policies, manifest)
    if key_file is None:
        click.echo("Not signed, so no server will accept it: sign it with bundle sign.", err=True)
    else:
        files = _signed(files, key_file)
    said = Manifest.of(files)
    if not out.name.endswith((".tar.gz", ".tgz")):
        out = out / f"{said.name}-{said.version}.tar.gz"
    _pack(files, out)


@bundle.command()
@click.argument("file", type=_FILE)
@_key
@click.option("--out", type=_ANY, help="The signed archive. Without: FILE is replaced.")
def sign(file: Path, key_file: Path, out: Path | None) -> None:
    """Sign the archive FILE.

    A signature that it has is replaced. The files stay as they are; the archive is packed anew.

    \b
    Example: scopebound-engine bundle sign bundles/shipped-1.0.0.tar.gz --key keys/bundle.key
    """
    files = archive.read(file.read_bytes())
    content.check(files)
    _pack(_signed(files, key_file), out or file)


@bundle.command()
@click.argument("file", type=_FILE)
@click.option(
    "--trust",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="The public keys to trust: a folder of *.pem, or one.",
)
@click.option("--signature-only", is_flag=True, help="Leave out the checks of the policy itself.")
def verify(file: Path, trust: Path, signature_only: bool) -> None:
    """Check the archive FILE as a server would.

    All that a server asks before it activates a bundle. Exit code 1 and every finding, if refused.

    \b
    Example: scopebound-engine bundle verify bundles/shipped-1.0.0.tar.gz --trust keys/
    """
    verified = signature.verify(file.read_bytes(), keys.TrustedKeys.read(trust))
    said = verified.manifest
    click.echo(f"archive    {len(verified.files)} files, no duplicates, nothing after the end")
    click.echo(f"signature  by the trusted key {verified.key_id}, over every file")
    click.echo(f"manifest   {said.name} {said.version}, {len(said.deny_codes)} deny codes")
    if not signature_only:
        from scopebound_engine.bundle import gate

        gate.require(verified)
        click.echo("gate       passed: source, plan, built-ins, shapes, denials, costs, tests")
    click.echo(f"checksum   {verified.checksum}")
    click.echo(f"identity   {verified.identity}")


@bundle.command()
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def inspect(file: Path, as_json: bool) -> None:
    """Show what the archive FILE holds.

    Nothing is verified here: that is bundle verify.

    \b
    Example: scopebound-engine bundle inspect bundles/shipped-1.0.0.tar.gz
    """
    shown = _description(file.read_bytes())
    if as_json:
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for field in ("name", "version", "entrypoint", "checksum", "identity"):
        click.echo(f"{field:<11}{shown[field]}")
    click.echo(f"{'signature':<11}{_signature_line(shown['signature'])}")
    _table("deny code", [(c["code"], c["severity"], c["description"]) for c in shown["codes"]])
    _table("file", [(f["name"], f"{f['bytes']:>9,}", "bytes") for f in shown["files"]])


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
        "codes": [
            {"code": c.code, "severity": c.severity, "description": c.description}
            for c in said.deny_codes
        ],
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
    return printable(f"by the key {kid}, {claimed['algorithm']}; not verified")


def _table(title: str, rows: list[tuple[str, str, str]]) -> None:
    width = max([len(title), *(len(first) for first, _, _ in rows)])
    click.echo(f"\n{title}")
    for first, second, third in rows:
        click.echo(printable(f"  {first:<{width}}  {second:<8}  {third}"))


def _built(policies: Path, manifest: Path | None) -> dict[str, bytes]:
    inside = policies / MANIFEST
    beside = policies.absolute().parent / MANIFEST
    return build_files(policies, manifest or (inside if inside.exists() else beside))


def _signed(files: Mapping[str, bytes], key_file: Path) -> dict[str, bytes]:
    return {**files, SIGNATURES: signature.sign(files, keys.SigningKey.read(key_file))}


def _pack(files: Mapping[str, bytes], out: Path) -> None:
    said, data = Manifest.of(files), archive.write(files)
    _write(out, data)
    click.echo(f"bundle     {out}")
    click.echo(f"version    {said.name} {said.version}")
    click.echo(f"checksum   {hashlib.sha256(data).hexdigest()}")
    click.echo(f"identity   {signature.identity(files)}")


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all: a reader never sees half of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
