"""Bundles as files here: what a folder of policies builds into, and how an archive is written."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from scopebound_engine import whole_file
from scopebound_engine.bundle import signature
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build, manifest_beside
from scopebound_engine.bundle.format.envelope import SIGNATURES
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.cli.terminal import fields
from scopebound_engine.errors import ConfigError

FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
THERE: Final = click.Path(exists=True, path_type=Path)
ANY: Final = click.Path(path_type=Path)

manifest_option = click.option(
    "--manifest",
    type=FILE,
    help="The manifest. Without: manifest.json in the folder, or else beside it.",
)


def built(policies: Path, manifest: Path | None = None) -> dict[str, bytes]:
    """The files of the bundle that a folder builds into, not signed. Raises BundleError."""
    return build(policies, manifest or manifest_beside(policies))


def signed(files: Mapping[str, bytes], key: SigningKey) -> dict[str, bytes]:
    """The files with a signature; one that is there is replaced."""
    return {**files, SIGNATURES: signature.sign(files, key)}


def read(file: Path) -> bytes:
    """The bytes of a file. Raises ConfigError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error


def pack(files: Mapping[str, bytes], out: Path) -> None:
    """Write files as an archive, and say what it is."""
    said, data = Manifest.of(files), archive.write(files)
    write(out, data)
    fields(
        ("bundle", out),
        ("version", f"{said.name} {said.version}"),
        ("checksum", hashlib.sha256(data).hexdigest()),
        ("identity", signature.identity(files)),
    )


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all, and the folders above it. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, data, mode=mode)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
