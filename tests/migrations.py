"""Databases as former programs made them."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from scopebound_engine.database.engine import transaction


def migrate_to(engine: Engine, revision: str) -> None:
    """Upgrade to this revision and no further."""
    config = Config()
    folder = files("scopebound_engine.database") / "migrations"
    config.set_main_option("script_location", str(folder))
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
