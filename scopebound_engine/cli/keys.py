"""`keys`: API keys from the command line, straight in the database."""

import time
from datetime import datetime

import click

from scopebound_engine.access.api_keys import SCOPES, ApiKeyStore
from scopebound_engine.config import from_env


@click.group()
def keys() -> None:
    """API keys: who may call the service, and for what."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(SCOPES)),
    help="What the key may do; repeat for several. Without one: enforce.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    help="Name or UUID of a role the key may provision; repeat. Without one: all.",
)
def create(name: str, scopes: tuple[str, ...], roles: tuple[str, ...]) -> None:
    """Make an API key and show it, this once.

    Example: scopebound-engine keys create invoices --scope enforce --role invoice-processor
    """
    _, secret = _store().create(name, frozenset(scopes or ("enforce",)), roles)
    click.echo("The key is shown now and never again; only its hash is stored.", err=True)
    click.echo(secret)


@keys.command("list")
def list_() -> None:
    """List the API keys, revoked ones too."""
    for key in _store().list():
        state = f"revoked {_time(key.revoked_at)}" if key.revoked_at else "active"
        roles = f" roles={','.join(key.roles)}" if key.roles else ""
        click.echo(
            f"{key.id}  {key.hint}  {key.name}  {','.join(sorted(key.scopes))}{roles}  "
            f"made {_time(key.created_at)}  {state}"
        )


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Revoke the API key with this id or name; in force within a second everywhere."""
    revoked = _store().revoke(key)
    click.echo(f"revoked {revoked.name} ({revoked.id})")


def _store() -> ApiKeyStore:
    from scopebound_engine.database.engine import migrate, open_database
    from scopebound_engine.preparation import make_data_dir
    from scopebound_engine.wiring import database_url

    config = from_env()
    make_data_dir(config.data_dir)
    engine = open_database(database_url(config), config.data_dir)
    migrate(engine)
    return ApiKeyStore(engine, time.time)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
