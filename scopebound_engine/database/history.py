"""Runs the migrations: the only importer of Alembic but for the migrations themselves."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from scopebound_engine.errors import ConfigError

_MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"


def upgrade(connection: Connection, where: str) -> None:
    """Upgrade to the newest revision, inside the connection's transaction.

    Raises ConfigError when a newer program made the database; `where` it is, for the message.
    """
    config = AlembicConfig()
    # Alembic interpolates options: a percent sign in the path would be taken for one of its own.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    _require_known(connection, ScriptDirectory.from_config(config), where)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _require_known(connection: Connection, scripts: ScriptDirectory, where: str) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise ConfigError(
            f"the database {where} has the schema {current} of a newer scopebound-engine, this one "
            f"knows {scripts.get_current_head()}; run the newer program or restore a backup"
        )
