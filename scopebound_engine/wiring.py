"""Where the parts meet: build_services(config), called by gunicorn's workers and by the tests."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.bundle.keys import TrustedKeys
from scopebound_engine.bundle.registry import Registry
from scopebound_engine.bundle.signature import verify
from scopebound_engine.config import Config
from scopebound_engine.database.engine import answers, open_database
from scopebound_engine.decision.active import ActiveBundle, BundleRef
from scopebound_engine.decision.pdp import DecisionPoint
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.keys import SigningKeys
from scopebound_engine.session.provision import Provisioner
from scopebound_engine.session.state import SessionState
from scopebound_engine.session.state_postgres import PostgresState
from scopebound_engine.session.state_sqlite import SqliteState
from scopebound_engine.session.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a process which serves the API holds."""

    config: Config
    roles: RoleStore
    api_keys: ApiKeyStore
    doorkeeper: Doorkeeper
    keys: SigningKeys
    state: SessionState
    tokens: Tokens
    active: ActiveBundle
    decisions: DecisionPoint
    provisioner: Provisioner
    database_answers: Callable[[], bool]
    started: float
    loaded_at: float

    def close(self) -> None:
        """End the evaluators and the thread of last uses, and let go of the session state."""
        self.doorkeeper.close()
        self.active.close()
        self.state.close()


def build_services(config: Config, clock: Callable[[], float] = time.time) -> Services:
    """All parts, wired, with the active bundle verified again and its evaluators warm.

    Expects what `preparation.prepare` makes. Raises BundleError, EngineError, ConfigError.
    """
    engine = open_database(database_url(config), config.data_dir)
    keys = SigningKeys.open(engine, config.data_dir, clock)
    tokens = Tokens(keys, issuer=config.issuer, audience=config.audience, clock=clock)
    state = open_state(config)
    roles = RoleStore(engine, clock)
    api_keys = ApiKeyStore(engine, clock)
    active = ActiveBundle(
        evaluators=config.evaluators, evaluation_seconds=config.evaluation_deadline_ms / 1000
    )
    registry = Registry(engine, clock)
    version = registry.active()
    if version is not None:
        bundle = verify(registry.data(version.id), TrustedKeys.read(config.trusted_keys_dir))
        active.load(BundleRef(version.id, version.version, version.checksum), bundle)
    return Services(
        config=config,
        roles=roles,
        api_keys=api_keys,
        doorkeeper=Doorkeeper(api_keys, clock),
        keys=keys,
        state=state,
        tokens=tokens,
        active=active,
        decisions=DecisionPoint(
            tokens, state, active, clock=clock, waiting=config.threads * 3 // 8
        ),
        provisioner=Provisioner(roles, tokens, state, clock=clock),
        database_answers=lambda: answers(engine),
        started=time.monotonic(),
        loaded_at=clock(),
    )


def database_url(config: Config) -> str | None:
    """The configured database, None for the embedded one."""
    return config.database_url.get_secret_value() if config.database_url else None


def open_state(config: Config) -> SessionState:
    """Session state where the database is: PostgreSQL, or a SQLite file of its own."""
    url = database_url(config)
    return PostgresState(url) if url else SqliteState(config.data_dir)
