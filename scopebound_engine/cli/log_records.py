"""Records for a command that reads the log: by id, from files, or of the last hours.

And the bundles that they name. A database is only asked where this is a node or one is configured.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from scopebound_engine.config import Config, from_env
from scopebound_engine.errors import (
    ConfigError,
    DatabaseUnavailableError,
    InputError,
    NotFoundError,
)

if TYPE_CHECKING:
    from scopebound_engine.log.shelf import Place, Shelf

Record = dict[str, Any]


class Records:
    """What can be read here. Every method raises ConfigError and DatabaseUnavailableError."""

    def __init__(self) -> None:
        self._config = from_env()

    def named(self, what: str) -> Iterator[Record]:
        """The record of an id, or all of a path. Raises InputError, NotFoundError."""
        if Path(what).exists():
            return self.within([Path(what)])
        try:
            return iter([self._record(str(UUID(what)))])
        except ValueError as error:
            raise click.UsageError(f"{what} is neither the id of a record nor a file.") from error

    def of_last(self, seconds: float) -> Iterator[Record]:
        """Those of so many seconds up to now, of all nodes."""
        from scopebound_engine.log.replayable import read

        now_us = int(time.time() * 1_000_000)
        for line in self._database.lines(now_us - int(seconds * 1_000_000), now_us):
            yield read(line.encode())

    def shelf(self, bundles: Sequence[Path], trust: Path | None) -> "Shelf":
        """Bundles in these files, in this node's folder and in the database.

        Those are believed whose keys are in `trust`, or else trusted by this node.
        """
        from scopebound_engine.bundle.registry.history import History
        from scopebound_engine.bundle.trust.keys import TrustedKeys
        from scopebound_engine.log.shelf import Shelf, among

        places: list[Place] = [among(bundles), History(self._config.data_dir).find]
        if _has_database(self._config):
            places.append(self._stored)
        return Shelf(places, lambda: TrustedKeys.read(trust or self._config.trusted_keys_dir))

    def _stored(self, checksum: str) -> bytes | None:
        # The database is opened once it is looked into: what lies on the node comes first.
        return self._database.bundle(checksum)

    def _record(self, record_id: str) -> Record:
        from scopebound_engine.log.replayable import read

        try:
            return read(self._database.log.get(record_id).encode())
        except (NotFoundError, DatabaseUnavailableError):
            # It takes some moments, and a server, until a record is in the database.
            for record in self._own(record_id.encode()):
                if record["id"] == record_id:
                    return record
            raise

    def _own(self, needle: bytes) -> Iterator[Record]:
        from scopebound_engine.node import log_dir

        folder = log_dir(self._config)
        return self.within([folder], needle) if folder.is_dir() else iter(())

    def within(
        self,
        paths: Sequence[Path],
        needle: bytes = b"",
        progress: Callable[[int], object] = lambda _read: None,
    ) -> Iterator[Record]:
        """The records in these folders and files whose line holds the needle.

        `progress` is told how many bytes were read. Raises InputError.
        """
        from scopebound_engine.log import sources
        from scopebound_engine.log.replayable import read

        for file in (file for source in sources.sources(paths) for file in source.files):
            try:
                for number, line, is_whole in sources.lines(file, progress):
                    if is_whole and line.strip(b"[]") and needle in line:
                        yield _placed(read, line, f"{file}:{number}")
            except OSError as error:
                raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error

    @cached_property
    def _database(self) -> "_Database":
        if not _has_database(self._config):
            raise ConfigError(
                f"{self._config.data_dir} is not the data folder of a node; set "
                "SCOPEBOUND_DATA_DIR or SCOPEBOUND_DATABASE_URL, or name files."
            )
        return _Database(self._config)


class _Database:
    """What the database has of the log, and of the bundles that it names."""

    def __init__(self, config: Config) -> None:
        from scopebound_engine.bundle.registry.registry import Registry
        from scopebound_engine.log import export
        from scopebound_engine.log.decisions import DecisionLog
        from scopebound_engine.preparation import open_migrated

        engine = open_migrated(config)
        self.log = DecisionLog(engine)
        self.lines: Callable[[int, int], Iterator[str]] = lambda from_us, to_us: export.lines(
            engine, from_us, to_us
        )
        self._registry = Registry(engine, time.time)

    def bundle(self, checksum: str) -> bytes | None:
        """The bytes of this checksum, if they are there."""
        try:
            return self._registry.data_of(checksum)
        except NotFoundError:
            return None


def _has_database(config: Config) -> bool:
    from scopebound_engine.node import NODE_ID_FILE

    return config.database_url is not None or (config.data_dir / NODE_ID_FILE).exists()


def _placed(read: Callable[[bytes], Record], line: bytes, place: str) -> Record:
    try:
        return read(line)
    except InputError as error:
        raise InputError("", f"{place}: {error.detail}") from error
