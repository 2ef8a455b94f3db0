"""Where the parts meet: build_services(config), called by gunicorn's workers and by the tests."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.author.explaining.recorded import Explainer
from scopebound_engine.bundle.activation import Activator
from scopebound_engine.bundle.lanes import Lanes
from scopebound_engine.bundle.lifecycle import Bundles
from scopebound_engine.bundle.registry.fleet import Fleet
from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.registry.registry import Registry
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.clerk.keeper import Keeper
from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.decision.active import ActiveBundle
from scopebound_engine.decision.delegation import Delegations
from scopebound_engine.decision.follower import Follower
from scopebound_engine.decision.pdp import DecisionPoint, Judge
from scopebound_engine.decision.provision import Provisioner
from scopebound_engine.log import export, log_keys
from scopebound_engine.log.analytics import Analytics
from scopebound_engine.log.decisions import DecisionLog
from scopebound_engine.log.journal import Journal
from scopebound_engine.log.latches import RecordedLatches
from scopebound_engine.log.recorder import Recorder, noting
from scopebound_engine.log.shelf import Shelf
from scopebound_engine.masking import Masks, pointers, read_key
from scopebound_engine.meter import Meter
from scopebound_engine.node import database_url, log_dir, node_id, open_state
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.session.keys.signing import SigningKeys
from scopebound_engine.session.state.seam import SessionState
from scopebound_engine.session.store import Sessions
from scopebound_engine.session.tokens import Tokens
from scopebound_engine.tally import Tally
from scopebound_engine.webhook.parts import Webhooks, open_webhooks


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a process which serves the API holds."""

    config: Config
    clock: Callable[[], float]
    roles: RoleStore
    baselines: Baselines
    api_keys: ApiKeyStore
    doorkeeper: Doorkeeper
    keys: SigningKeys
    sessions: Sessions
    state: SessionState
    tokens: Tokens
    bundles: Bundles
    fleet: Fleet
    active: ActiveBundle
    follower: Follower
    decisions: DecisionPoint
    recorder: Recorder
    meter: Meter
    provisioner: Provisioner
    clerk: Keeper
    log_keys: Callable[[], list[log_keys.PublishedLogKey]]
    decision_log: DecisionLog
    explainer: Explainer
    analytics: Analytics
    export: Callable[[int, int], Iterator[str]]
    webhooks: Webhooks
    started: float

    @property
    def log_dir(self) -> Path:
        """The folder of the decision log."""
        return log_dir(self.config)

    def close(self) -> None:
        """End the threads and the evaluators, leave the fleet, let go of the session state."""
        self.clerk.close()
        self.doorkeeper.close()
        self.follower.close()
        self.active.close()
        self.state.close()
        self.recorder.close()


def build_services(config: Config, clock: Callable[[], float] = time.time) -> Services:
    """All parts, wired, with the bundle in force verified again and its evaluators warm.

    Where that bundle will not do, the parts deny and say why. Expects what `preparation.prepare`
    makes. Raises ConfigError, DatabaseUnavailableError.
    """
    engine = open_database(database_url(config), config.data_dir)
    keys = SigningKeys.open(engine, config.data_dir, clock)
    tokens = Tokens(keys, issuer=config.issuer, audience=config.audience, clock=clock)
    state, sessions = open_state(config), Sessions(engine, clock)
    roles = RoleStore(engine, clock)
    api_keys = ApiKeyStore(engine, clock)
    meter = Meter(Tally(config.data_dir / "metrics"))
    active = ActiveBundle(
        evaluators=config.evaluators,
        evaluation_seconds=config.evaluation_deadline_ms / 1000,
        on_replaced=meter.replaced,
    )
    registry, fleet = Registry(engine, clock), Fleet(engine)
    history = History(config.data_dir)

    def trusted_keys() -> TrustedKeys:
        return TrustedKeys.read(config.trusted_keys_dir)

    follower = Follower(
        active,
        registry,
        fleet,
        history,
        trusted_keys,
        node_id=node_id(config.data_dir),
        clock=clock,
    )
    follower.start()
    recorder = open_recorder(config, clock, lambda: follower.skew_ms)
    baselines = Baselines(engine, clock)
    judge = Judge(follower, baselines, clock)
    delegations = Delegations(roles, state, registry.generation, judge)
    return Services(
        config=config,
        clock=clock,
        roles=roles,
        baselines=baselines,
        api_keys=api_keys,
        doorkeeper=Doorkeeper(api_keys, clock),
        keys=keys,
        sessions=sessions,
        state=state,
        tokens=tokens,
        bundles=Bundles(
            registry,
            Activator(registry, fleet),
            history,
            trusted_keys,
            Lanes(config.data_dir),
            clock,
        ),
        fleet=fleet,
        active=active,
        follower=follower,
        decisions=DecisionPoint(
            tokens,
            state,
            follower,
            baselines,
            RecordedLatches(sessions, recorder),
            clock=clock,
            waiting=config.threads * 3 // 8,
        ),
        recorder=recorder,
        meter=meter,
        provisioner=Provisioner(
            roles,
            sessions,
            tokens,
            state,
            baselines,
            delegations,
            per_minute=config.provision_per_minute,
            clock=clock,
        ),
        clerk=Keeper(config),
        log_keys=lambda: log_keys.published(engine),
        decision_log=DecisionLog(engine),
        explainer=Explainer(Shelf((history.find, registry.data_of), trusted_keys), roles),
        analytics=Analytics(engine, clock),
        export=partial(export.lines, engine),
        webhooks=open_webhooks(config, engine, clock),
        started=time.monotonic(),
    )


def open_recorder(
    config: Config, clock: Callable[[], float], skew_ms: Callable[[], float | None]
) -> Recorder:
    """Who writes the decision log of this node. Raises ConfigError."""
    node = node_id(config.data_dir)
    journal = Journal(
        log_dir(config),
        node,
        sync=config.log_sync,
        sync_seconds=config.log_sync_ms / 1000,
        segment_bytes=config.log_segment_bytes,
        note=noting(node, clock),
    )
    masks = Masks(read_key(config.data_dir), pointers(config.log_mask))
    return Recorder(journal, masks, node=node, clock=clock, skew_ms=skew_ms)
