"""Where the parts of a node are, by its configuration: its database, its state, log and name."""

from pathlib import Path
from typing import Final

from scopebound_engine.config import Config
from scopebound_engine.errors import ConfigError
from scopebound_engine.session.state.postgres import PostgresState
from scopebound_engine.session.state.seam import SessionState
from scopebound_engine.session.state.sqlite import SqliteState

NODE_ID_FILE: Final = "node-id"
LOG_FOLDER: Final = "log"


def database_url(config: Config) -> str | None:
    """The configured database, None for the embedded one."""
    return config.database_url.get_secret_value() if config.database_url else None


def log_dir(config: Config) -> Path:
    """The folder of the decision log."""
    return config.data_dir / LOG_FOLDER


def node_id(data_dir: Path) -> str:
    """What names this node among all of its database. Raises ConfigError where nothing does yet."""
    file = data_dir / NODE_ID_FILE
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}. A start of `scopebound-engine serve` makes "
            "it; the data folder has to be readable for this user."
        ) from error


def open_state(config: Config) -> SessionState:
    """Session state where the database is: PostgreSQL, or a SQLite file of its own."""
    url = database_url(config)
    return PostgresState(url) if url else SqliteState(config.data_dir)
