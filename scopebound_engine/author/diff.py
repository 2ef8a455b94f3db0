"""`policy diff`: what changes from some policies to others, each a folder or an archive."""

from collections.abc import Mapping
from pathlib import Path

from scopebound_engine.bundle.diff import Diff, compare
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build, manifest_beside
from scopebound_engine.errors import ConfigError


def between(old: Path, new: Path) -> Diff:
    """What changes. Raises ConfigError, and BundleError for what is no bundle's policies."""
    return compare(files_at(old), files_at(new))


def files_at(path: Path) -> Mapping[str, bytes]:
    """The files of the bundle that a folder builds into, or that an archive holds.

    Raises ConfigError where it cannot be read, and BundleError.
    """
    if path.is_dir():
        return build(path, manifest_beside(path))
    try:
        return archive.read(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
