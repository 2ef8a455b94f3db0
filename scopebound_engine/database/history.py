"""Runs the migrations: the only importer of Alembic but for the migrations themselves.

Alembic takes a tenth of a second to import, so a database that is up to date is left without it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from scopebound_engine.errors import ConfigError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

_MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"


def upgrade(connection: Connection, where: str) -> None:
    """Upgrade to the newest revision, inside the connection's transaction.

    Raises ConfigError when a newer program made the database; `where` it is, for the message.
    """
    if _revisions(connection) == [newest()]:
        return
    from alembic import command
    from alembic.config import Config as AlembicConfig
    from alembic.script import ScriptDirectory

    config = AlembicConfig()
    # Alembic interpolates options: a percent sign in the path would be taken for one of its own.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    _require_known(connection, ScriptDirectory.from_config(config), where)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def newest() -> str:
    """The newest revision this program knows: the migrations' files are numbered by it."""
    return max(file.name for file in (_MIGRATIONS / "versions").glob("*.py")).partition("_")[0]


def _revisions(connection: Connection) -> list[str]:
    """What Alembic noted of the database: nothing before the first migration, then one."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def _require_known(connection: Connection, scripts: "ScriptDirectory", where: str) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in _revisions(connection):
        if revision not in known:
            raise ConfigError(
                f"the database {where} has the schema {revision} of a newer scopebound-engine, "
                f"this one knows {newest()}; run the newer program or restore a backup"
            )
