"""Scopebound without HTTP: its own parts in one process, evaluators below it, records written."""

import atexit
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from scopebound_engine.config import Config
from scopebound_engine.database.engine import open_database
from scopebound_engine.decision.facts import Call
from scopebound_engine.decision.pdp import Decision
from scopebound_engine.log.record import Asked
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.session.drift.baselines import Baselines
from scopebound_engine.wiring import build_services
from tests.bench.peers.question import CALLS, Decide, Question
from tests.bench.scenario import TYPICAL
from tests.ended import store_ended
from tests.servers import API_KEY, make_prepared

_ENDED = 40


class Inside:
    """The parts of a node, with a session of the bench's role."""

    def __init__(self, folder: Path) -> None:
        make_prepared(folder / "data")
        settings = {"data_dir": folder / "data", "bootstrap_api_key": API_KEY}
        self._services = build_services(Config.model_validate(settings))
        role = self._services.roles.create(parse(RoleFields, dict(TYPICAL.role)))
        _give_baseline(folder / "data", role.id)
        self._key = self._services.api_keys.authenticate(API_KEY)
        self._token = self._services.provisioner.provision(role.name, 0, self._key).token

    def decide(self, tool: str, arguments: dict[str, Any]) -> Decision:
        """Decide a call and write its record."""
        began, call_id = time.monotonic(), str(uuid4())
        call = Call("tool_call", tool, arguments, call_id)
        decision = self._services.decisions.decide(call, self._token, began + 1)
        # As much as a record says of its request.
        asked = {"id": call_id, "method": "POST", "path": "/v1/enforce", "peer": "127.0.0.1"}
        asked |= {"status": 200, "api_key_id": self._key.id}
        self._services.recorder.decision(decision, Asked("tool_call", call_id, began, asked))
        return decision

    def close(self) -> None:
        """End evaluators and threads."""
        self._services.close()


def opened() -> Decide:
    """Starts the parts, which end with the process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    inside = Inside(folder)
    atexit.register(inside.close)

    def decide(question: Question) -> str | None:
        verdict = inside.decide(question.tool, question.arguments).verdict
        return None if verdict.allow else verdict.violations[0].code

    return decide


def facts() -> dict[str, Any]:
    """The Rego input of every call."""
    with tempfile.TemporaryDirectory() as folder:
        inside = Inside(Path(folder))
        try:
            return {
                name: inside.decide(TYPICAL.tool, dict(arguments)).facts
                for name, arguments in CALLS.items()
            }
        finally:
            inside.close()


def _give_baseline(data_dir: Path, role_id: str) -> None:
    """So that drift is judged in each call; past sessions went all kinds of ways."""
    tools, engine = TYPICAL.role["allowed_tools"], open_database(None, data_dir)
    store_ended(engine, role_id, ({tools[each % len(tools)]: 30} for each in range(_ENDED)))
    Baselines(engine, time.time).fit(role_id, tools)
    engine.dispose()
