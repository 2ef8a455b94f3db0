"""`bundle keygen|stage|build|sign`: from policies to a signed archive."""

from pathlib import Path

import click

from scopebound_engine.bundle.format import archive, content
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.trust.keys import ALGORITHMS, PS256_MARK, SigningKey
from scopebound_engine.cli.bundle_files import (
    ANY,
    FILE,
    FOLDER,
    built,
    manifest_option,
    pack,
    read,
    signed,
    write,
)
from scopebound_engine.errors import ConfigError

_key = click.option(
    "--key", "key_file", type=FILE, required=True, help="The private key that signs (PEM)."
)


@click.command()
@click.option("--out", type=ANY, required=True, help="The folder for the two files.")
@click.option("--name", default="bundle", show_default=True, help="Their name.")
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
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
    name = name + (PS256_MARK if algorithm == "ps256" else "")
    private, public = out / f"{name}.key", out / f"{name}.pem"
    for file in (private, public):
        if file.exists():
            raise ConfigError(f"{file} is there already and is not overwritten; choose a --name.")
    key = SigningKey.generate(algorithm)
    write(private, key.private_pem().encode(), mode=0o600)
    write(public, key.public_pem().encode())
    click.echo(f"private  {private}  keep it where bundles are signed")
    click.echo(f"public   {public}  copy it into the folder that SCOPEBOUND_BUNDLE_KEYS names")
    click.echo(f"key id   {key.key_id}")


@click.command()
@click.argument("policies", type=FOLDER)
@click.argument("out", type=ANY)
@manifest_option
@_key
def stage(policies: Path, out: Path, manifest: Path | None, key_file: Path) -> None:
    """Lay out a signed bundle as a folder, for tar to pack.

    \b
    Example: scopebound-engine bundle stage policies rules --key keys/bundle.key
             tar -czf bundle.tar.gz -C rules .
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty folder; name a new one.")
    files = signed(built(policies, manifest), SigningKey.read(key_file))
    for name in files:
        write(out / name, files[name])
    click.echo(f"{len(files)} files staged in {out}; pack them with:")
    click.echo(f"tar -czf bundle.tar.gz -C {out} .")


@click.command()
@click.argument("policies", type=FOLDER)
@manifest_option
@click.option("--key", "key_file", type=FILE, help="The private key that signs (PEM).")
@click.option(
    "--out",
    type=ANY,
    default="bundles",
    show_default=True,
    help="The archive, if it ends in .tar.gz or .tgz; otherwise the folder for it.",
)
def build(policies: Path, manifest: Path | None, key_file: Path | None, out: Path) -> None:
    """Build POLICIES into one archive, signed with --key.

    \b
    Example: scopebound-engine bundle build policies --key keys/bundle.key
    """
    files = built(policies, manifest)
    if key_file is None:
        click.echo("Not signed, so no server will accept it: sign it with bundle sign.", err=True)
    else:
        files = signed(files, SigningKey.read(key_file))
    said = Manifest.of(files)
    if not out.name.endswith((".tar.gz", ".tgz")):
        out = out / f"{said.name}-{said.version}.tar.gz"
    pack(files, out)


@click.command()
@click.argument("file", type=FILE)
@_key
@click.option("--out", type=ANY, help="The signed archive. Without: FILE is replaced.")
def sign(file: Path, key_file: Path, out: Path | None) -> None:
    """Sign the archive FILE.

    A signature that it has is replaced. The files stay as they are; the archive is packed anew.

    \b
    Example: scopebound-engine bundle sign bundles/shipped-1.0.0.tar.gz --key keys/bundle.key
    """
    files = archive.read(read(file))
    content.check(files)
    pack(signed(files, SigningKey.read(key_file)), out or file)
