"""The whole service in this process, with a clock that stands where a test puts it."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import falcon
import falcon.testing

from scopebound_engine.api.app import App, create_app
from scopebound_engine.config import Config
from scopebound_engine.wiring import build_services
from tests.servers import API_KEY, make_prepared


class Clock:
    """Epoch seconds, as set."""

    def __init__(self, moment: str) -> None:
        self.now = 0.0
        self.set(moment)

    def __call__(self) -> float:
        return self.now

    def set(self, moment: str) -> None:
        """Put the clock at a moment such as 2026-04-29T12:00:00Z."""
        self.now = datetime.fromisoformat(moment).timestamp()


class Service:
    """The app over real parts, asked as a client asks it."""

    def __init__(self, app: App, clock: Clock) -> None:
        self.app, self.clock = app, clock
        self._http = falcon.testing.TestClient(app, headers={"X-Scopebound-API-Key": API_KEY})

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        answer = self._http.simulate_request(method, path, json=body)
        return answer.status_code, answer.json

    def create(self, **fields: Any) -> dict[str, Any]:
        """A new role, as answered."""
        status, role = self.ask("POST", "/mgmt/v1/roles", fields)
        assert status == 201, role
        return dict(role)

    def provision(self, role_id: str) -> dict[str, Any]:
        """A new session, as answered."""
        status, session = self.ask("POST", "/v1/provision", {"role_id": role_id})
        assert status == 200, session
        return dict(session)

    def enforce(
        self,
        jwt: str,
        tool_name: str,
        call_args: Mapping[str, Any],
        path: str = "/v1/enforce",
        call_id: str = "",
    ) -> dict[str, Any]:
        """The decision on a call; it always comes with status 200."""
        body = {"jwt": jwt, "tool_name": tool_name, "call_args": call_args, "call_id": call_id}
        status, decision = self.ask("POST", path, body)
        assert status == 200, decision
        return dict(decision)

    def verdict(self, role_id: str, tool_name: str, call_args: Mapping[str, Any]) -> str:
        """`allow` or the deny code, for a call in a session of its own."""
        decision = self.enforce(self.provision(role_id)["jwt"], tool_name, call_args)
        return str(decision.get("deny_code", decision["decision"]))


@contextmanager
def service(data_dir: Path, clock: Clock) -> Iterator[Service]:
    """The service until the block ends."""
    config = Config.model_validate({"data_dir": data_dir, "bootstrap_api_key": API_KEY})
    make_prepared(data_dir)
    services = build_services(config, clock)
    try:
        yield Service(create_app(services), clock)
    finally:
        services.close()


def payload(jwt: str) -> dict[str, Any]:
    """The claims of a token, not verified."""
    return _part(jwt, 1)


def header(jwt: str) -> dict[str, Any]:
    """The header of a token."""
    return _part(jwt, 0)


def _part(jwt: str, index: int) -> dict[str, Any]:
    part = jwt.split(".")[index]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def assert_shows(
    shown: Mapping[str, Any], answered: Mapping[str, Any], **varying: Callable[[Any], object]
) -> None:
    """Every field that the reference shows is answered with the value shown.

    For fields that vary from answer to answer, `varying` judges the shape instead.
    """
    assert shown.keys() <= answered.keys()
    for name, value in shown.items():
        if name in varying:
            assert varying[name](answered[name]), f"{name}: {answered[name]!r}"
        else:
            assert answered[name] == value, name


def at(day: str, hour: int, minute: int = 0) -> str:
    """A moment in UTC of the week that holds the reference's timestamps."""
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].index(day)
    moment = datetime(2026, 4, 27, hour, minute, tzinfo=UTC) + timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
