"""Changes that a command makes without a server, in the decision log of the node it runs on."""

import getpass
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from scopebound_engine.config import Config
from scopebound_engine.errors import JournalError, UnrecordedChangeError

# Takes an event, what it concerns (type, id and name), and details of it.
Record = Callable[[str, Mapping[str, str], Mapping[str, Any]], None]

_ACTOR: Final = "command line"


@contextmanager
def recorded(config: Config) -> Iterator[Record]:
    """Record within the block what was changed; each change right after it was made.

    Where the data folder is no node's there is no log, which is said. Raises JournalError before
    the block where the log cannot be written, UnrecordedChangeError within it; ConfigError.
    """
    from scopebound_engine.node import NODE_ID_FILE

    if not (config.data_dir / NODE_ID_FILE).exists():
        yield _say_unrecorded(config.data_dir)
        return
    _require_owner(config.data_dir)
    from scopebound_engine.masking import make_key
    from scopebound_engine.wiring import open_recorder

    make_key(config.data_dir)
    recorder = open_recorder(config, time.time, lambda: None)
    recorder.check()

    def record(event: str, subject: Mapping[str, str], details: Mapping[str, Any]) -> None:
        try:
            recorder.event(event, actor=_actor(), subject=subject, details=details)
        except JournalError as error:
            raise UnrecordedChangeError(
                f"{event} of {subject['type']} {subject['id']} took effect, but it could not be "
                f"recorded: {error}"
            ) from error

    try:
        yield record
    finally:
        recorder.close()


def _say_unrecorded(data_dir: Path) -> Record:
    def say(event: str, _subject: Mapping[str, str], _details: Mapping[str, Any]) -> None:
        click.echo(
            f"{event} is in no decision log: {data_dir} is not the data folder of a node. Run this "
            "with a node's SCOPEBOUND_DATA_DIR to have it recorded.",
            err=True,
        )

    return say


def _require_owner(data_dir: Path) -> None:
    """Files of the log that another user makes would lock the server out of it."""
    owner = data_dir.stat().st_uid
    if owner != os.geteuid():
        raise JournalError(
            f"the decision log in {data_dir} belongs to the user with the id {owner}, and what "
            f"this command does has to be recorded there; run it as that user"
        )


def _actor() -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # containers often have no name for it
        user = str(os.geteuid())
    return {"name": _ACTOR, "user": user}
