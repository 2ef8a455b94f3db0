"""The Falcon app: which path leads to which resource."""

import uuid
from functools import cache
from typing import Any

import falcon

from scopebound_engine import baton, logs, strict_json
from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.api import body, departure, problems
from scopebound_engine.api.analytics import UsageItem
from scopebound_engine.api.api_keys import ApiKeyCollection, ApiKeyItem
from scopebound_engine.api.audit_trail import PROVISION, Trail
from scopebound_engine.api.backtests import BundleBacktest
from scopebound_engine.api.baselines import BaselineItem
from scopebound_engine.api.bundles import BundleCollection, BundleItem
from scopebound_engine.api.checkpoints import Checkpoints
from scopebound_engine.api.decisions import DecisionCollection, DecisionItem
from scopebound_engine.api.docs import PAGE_HEADERS, page
from scopebound_engine.api.enforce import Enforce
from scopebound_engine.api.explanations import DecisionExplanation
from scopebound_engine.api.export import Export
from scopebound_engine.api.health import Health, Jwks
from scopebound_engine.api.metrics import Metrics
from scopebound_engine.api.openapi import HTML, JSON, document
from scopebound_engine.api.provision import Provision
from scopebound_engine.api.published import Published
from scopebound_engine.api.recording import ENFORCE, MCP_ENFORCE, Recording, traceparent
from scopebound_engine.api.roles import RoleCollection, RoleItem
from scopebound_engine.api.seats import Seats
from scopebound_engine.api.sessions import SessionItem
from scopebound_engine.api.webhooks import DeadLetterCollection, DeadLetterItem, WebhookTest
from scopebound_engine.author.backtesting.server import Backtests
from scopebound_engine.config import Config, from_env
from scopebound_engine.log import checkpoints
from scopebound_engine.preparation import prepare
from scopebound_engine.wiring import Services, build_services

App = falcon.App[falcon.Request, falcon.Response]


def create_app(services: Services) -> App:
    """The WSGI app over built services."""
    config = services.config
    recording = Recording(
        services.recorder, services.decisions, services.meter, config.total_deadline_ms / 1000
    )
    context = _Context(services.doorkeeper, recording, Trail(services.recorder))
    app: App = falcon.App(middleware=[context])
    app.req_options.strip_url_path_trailing_slash = False
    problems.install(app)
    app.add_route(PROVISION, Provision(services.provisioner, config))
    app.add_route(ENFORCE, Enforce(services.decisions, config, "tool_call"))
    app.add_route(MCP_ENFORCE, Enforce(services.decisions, config, "mcp_tool_call"))
    _route_roles(app, services)
    _route_webhooks(app, services)
    _route_sessions(app, services)
    _route_bundles(app, services)
    _route_log(app, services)
    app.add_route("/mgmt/v1/api-keys", ApiKeyCollection(services.api_keys))
    app.add_route("/mgmt/v1/api-keys/{key_id}", ApiKeyItem(services.api_keys, services.sessions))
    app.add_route(
        "/healthz",
        Health(
            services.active,
            services.follower,
            services.fleet,
            config.evaluators,
            services.started,
            services.clock,
            services.log_dir,
            services.recorder,
            services.clerk,
        ),
    )
    app.add_route(
        "/metrics",
        Metrics(
            services.meter,
            services.follower,
            services.recorder,
            services.clerk,
            services.log_dir,
            services.clock,
        ),
    )
    app.add_route("/.well-known/jwks.json", Jwks(services.keys))
    app.add_route("/openapi.json", Published(cache(lambda: strict_json.dumps(_described())), JSON))
    app.add_route("/docs", Published(cache(lambda: page(_described())), HTML, PAGE_HEADERS))
    return app


def _route_roles(app: App, services: Services) -> None:
    check = services.webhooks.poster.check
    roles = RoleCollection(services.roles, services.provisioner, check)
    app.add_route("/mgmt/v1/roles", roles)
    role = RoleItem(services.roles, services.provisioner, services.sessions, check)
    app.add_route("/mgmt/v1/roles/{role_id}", role)
    app.add_route("/mgmt/v1/roles/{role_id}/suspend", role, suffix="suspend")
    app.add_route("/mgmt/v1/roles/{role_id}/resume", role, suffix="resume")
    app.add_route("/mgmt/v1/roles/{role_id}/revoke-sessions", role, suffix="revoke_sessions")
    baseline = BaselineItem(services.roles, services.baselines)
    app.add_route("/mgmt/v1/roles/{role_id}/baseline", baseline)


def _route_webhooks(app: App, services: Services) -> None:
    webhooks, seats = services.webhooks, Seats(max(1, services.config.threads // 16))
    tested = WebhookTest(services.roles, webhooks, seats, services.clock)
    app.add_route("/mgmt/v1/roles/{role_id}/webhook-test", tested)
    root = "/mgmt/v1/webhooks/dead-letters"
    app.add_route(root, DeadLetterCollection(webhooks))
    app.add_route(f"{root}/{{webhook_id}}/retry", DeadLetterItem(webhooks), suffix="retry")


def _route_sessions(app: App, services: Services) -> None:
    session = SessionItem(services.sessions, services.state, services.baselines, services.clock)
    app.add_route("/v1/sessions/{session_id}", session)
    app.add_route("/v1/sessions/{session_id}/clear-drift", session, suffix="clear_drift")


def _route_bundles(app: App, services: Services) -> None:
    root, threads = "/mgmt/v1/bundles", services.config.threads
    # With those that one flooded session may keep waiting (see wiring.py) they leave threads free.
    seats, rollback_seats = Seats(max(1, threads // 4)), Seats(max(1, threads // 16))
    backtests = Backtests(services.config)
    versions = BundleCollection(services.bundles, seats, Seats(max(1, threads // 8)), backtests)
    app.add_route(root, versions)
    app.add_route(f"{root}/upload", versions, suffix="upload")
    app.add_route(f"{root}/events", versions, suffix="events")
    version = BundleItem(services.bundles, seats, rollback_seats)
    app.add_route(f"{root}/rollback/{{bundle_id}}", version, suffix="rollback")
    app.add_route(f"{root}/{{bundle_id}}", version)
    app.add_route(f"{root}/{{bundle_id}}/activate", version, suffix="activate")
    app.add_route(f"{root}/{{bundle_id}}/download", version, suffix="download")
    app.add_route(f"{root}/{{bundle_id}}/diff/{{other_id}}", version, suffix="diff")
    app.add_route(f"{root}/{{bundle_id}}/backtest", BundleBacktest(services.bundles, backtests))


def _route_log(app: App, services: Services) -> None:
    app.add_route("/mgmt/v1/analytics", UsageItem(services.analytics))
    app.add_route("/mgmt/v1/decisions", DecisionCollection(services.decision_log))
    app.add_route("/mgmt/v1/decisions/{decision_id}", DecisionItem(services.decision_log))
    explained = DecisionExplanation(services.decision_log, services.explainer, Seats(1))
    app.add_route("/mgmt/v1/decisions/{decision_id}/explain", explained)
    seats = Seats(max(1, services.config.threads // 16))
    app.add_route("/mgmt/v1/audit/export", Export(services.export, seats, services.clock))
    signed = Checkpoints(services.log_dir / checkpoints.FILE, services.log_keys)
    app.add_route("/mgmt/v1/audit/checkpoint", signed)
    app.add_route("/mgmt/v1/audit/keys", signed, suffix="keys")


def open_app(config: Config) -> App:
    """The app of a worker: its own services, and a clerk beside it unless another one has it."""
    services = build_services(config)
    services.clerk.start()
    return create_app(services)


def get_app() -> App:
    """The app configured by the environment: `gunicorn 'scopebound_engine.api.app:get_app()'`.

    Prepares like `serve`; of several workers one does, the others wait for it and find it done.
    """
    config = from_env()
    logs.configure()
    prepare(config)
    return open_app(config)


@cache
def _described() -> dict[str, Any]:
    """The API's description. Made when it is asked for, since it takes a tenth of a start."""
    from scopebound_engine.api.operations import OPERATIONS, TAGS

    return document(OPERATIONS, TAGS)


class _Context:
    """Gives each request what its answer needs, whatever goes wrong on the way."""

    def __init__(self, doorkeeper: Doorkeeper, recording: Recording, trail: Trail) -> None:
        self._doorkeeper, self._recording, self._trail = doorkeeper, recording, trail

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        req.context.request_id = str(uuid.uuid4())
        _name_in_logs(req)
        req.context.arrived = body.arrived(req)
        req.context.call_id = ""
        req.context.doorkeeper = self._doorkeeper
        req.context.recording = self._recording
        req.context.trail = self._trail

    def process_resource(
        self, _req: falcon.Request, _resp: falcon.Response, resource: Any, _params: dict[str, Any]
    ) -> None:
        if not isinstance(resource, Enforce):
            baton.leave()  # it may take seconds

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: Any, _succeeded: bool
    ) -> None:
        resp.set_header("X-Request-Id", req.context.request_id)
        body.linger(req)
        departure.follow(req, resp)


def _name_in_logs(req: falcon.Request) -> None:
    """Have what this thread logs say which request it is about, until the next one."""
    request = {"request_id": req.context.request_id}
    if parent := traceparent(req):
        request["traceparent"] = parent
    logs.name(request)
