"""`keys`: API keys and the signing keys of session tokens, straight in the database."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from scopebound_engine.access.model import ENFORCE, SCOPES
from scopebound_engine.cli.node_log import recorded
from scopebound_engine.cli.terminal import columns
from scopebound_engine.config import Config, from_env
from scopebound_engine.times import timestamp

if TYPE_CHECKING:
    from scopebound_engine.access.api_keys import ApiKey, ApiKeyStore
    from scopebound_engine.role.store import RoleStore
    from scopebound_engine.session.keys.node import NodeKeys
    from scopebound_engine.session.keys.published import PublishedKey

_SCOPES: Final = """\b
Scopes:
  enforce   provision sessions, ask for decisions, read and end its own sessions
  roles     make and change roles, read and end all sessions, let drifting ones go on
  bundles   read, upload, activate and delete bundles
  rollback  read bundles, put a former one in force again
  audit     read the decision log, sessions, bundles and baselines; change nothing
  admin     all of that, and API keys
"""


@click.group()
def keys() -> None:
    """API keys (who may call the service, and for what) and the keys that sign session tokens."""


@keys.command(epilog=_SCOPES)
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
    help="Name or UUID of a role the key may provision; repeat for several. Without one: all.",
)
def create(name: str, scopes: tuple[str, ...], roles: tuple[str, ...]) -> None:
    """Make an API key and show it, this once.

    Example: scopebound-engine keys create invoices --scope enforce --role invoice-processor
    """
    from scopebound_engine.access.api_keys import ApiKeyStore
    from scopebound_engine.preparation import open_migrated
    from scopebound_engine.role.store import RoleStore

    config = from_env()
    engine = open_migrated(config)
    store = ApiKeyStore(engine, time.time)
    for unknown in _unknown(roles, RoleStore(engine, time.time)) if roles else ():
        click.echo(f"No role is called {unknown!r} yet: until one is, it gives no right.", err=True)
    with recorded(config) as record:
        key, secret = store.create(name, frozenset(scopes or (ENFORCE,)), roles)
        granted = {"scopes": sorted(key.scopes), "roles": list(key.roles), "hint": key.hint}
        record("api_key.created", _subject(key), granted)
    click.echo("The key is shown now and never again; only its hash is stored.", err=True)
    click.echo(secret)


@keys.command("list")
def list_() -> None:
    """List the API keys, revoked ones too."""
    rows = [("ID", "BEGINS", "NAME", "SCOPES", "ROLES", "MADE", "LAST USED", "STATE")] + [
        (
            key.id,
            key.hint,
            key.name,
            ",".join(sorted(key.scopes)),
            ",".join(key.roles) or "all",
            timestamp(key.created_at),
            timestamp(key.last_used_at) if key.last_used_at else "never",
            f"revoked {timestamp(key.revoked_at)}" if key.revoked_at else "active",
        )
        for key in _api_keys(from_env()).list()
    ]
    for line in columns(rows):
        click.echo(line)


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Revoke the API key with this id or name; in force within a second everywhere.

    The sessions that it made end with it, at once. The last active admin key cannot be revoked
    before there is another.
    """
    from scopebound_engine.access.api_keys import ApiKeyStore
    from scopebound_engine.preparation import open_migrated
    from scopebound_engine.session.store import Sessions

    config = from_env()
    engine = open_migrated(config)
    with recorded(config) as record:
        revoked = ApiKeyStore(engine, time.time).revoke(key)
        ended = Sessions(engine, time.time).revoke_of_key(revoked.id)
        record("api_key.revoked", _subject(revoked), {"sessions_ended": ended})
    click.echo(f"revoked {revoked.name} ({revoked.id}); live sessions ended: {ended}")


@keys.command("rotate-jwt")
def rotate_jwt() -> None:
    """Make a new key for this node to sign session tokens with.

    Its running server signs with it within seconds, without a restart. The former key signs no
    more, and verifies until its last token has lapsed. Other nodes keep their own keys: run this on
    each, with the SCOPEBOUND_DATA_DIR of its server.
    """
    from scopebound_engine.session.keys.signing import LOOK_SECONDS

    config = from_env()
    keys = _node_keys(config)
    with recorded(config) as record:
        made = keys.rotate()
        record("signing_key.rotated", {"type": "signing_key", "id": made.kid}, {})
    click.echo(f"made {made.kid}; this node signs with it within {LOOK_SECONDS:.0f} s")


@keys.command("list-jwt")
def list_jwt() -> None:
    """List the keys that sign session tokens, those of all nodes, eldest first."""
    for key, own in _node_keys(from_env()).list():
        click.echo(f"{key.kid}  made {timestamp(key.not_before)}  {_use(key, own)}")


def _use(key: "PublishedKey", own: bool) -> str:
    if key.expires_at is None:
        return "signs on this node" if own else "signs on another node"
    state = "expired" if key.expires_at <= datetime.now(UTC) else "verifies until"
    return f"{state} {timestamp(key.expires_at)}"


def _subject(key: "ApiKey") -> dict[str, str]:
    return {"type": "api_key", "id": key.id, "name": key.name}


def _unknown(roles: tuple[str, ...], store: "RoleStore") -> list[str]:
    known = {word for role in store.list() for word in (role.id, role.name)}
    return [role for role in roles if role not in known]


def _api_keys(config: Config) -> "ApiKeyStore":
    from scopebound_engine.access.api_keys import ApiKeyStore
    from scopebound_engine.preparation import open_migrated

    return ApiKeyStore(open_migrated(config), time.time)


def _node_keys(config: Config) -> "NodeKeys":
    from scopebound_engine.preparation import open_migrated
    from scopebound_engine.session.keys.folder import KeyFolder
    from scopebound_engine.session.keys.node import NodeKeys

    return NodeKeys(open_migrated(config), KeyFolder(config.data_dir), time.time)
