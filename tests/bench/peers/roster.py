"""The peers, and what each leaves out of what Scopebound does for the same answer."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tests.bench.peers import child, server
from tests.bench.peers.question import EXPECTED, Round

_FACTS = "no token, session, limits or record: they are given as facts"
PYTHON = "plain Python"


@dataclass(frozen=True)
class Peer:
    """Over HTTP, or else `inside`: MODULE:FUNCTION, run in a process of its own.

    `needs` is the module it cannot do without, `named` whether its denials have a code.
    """

    name: str
    lacks: str
    inside: str = ""
    needs: str = "falcon"
    named: bool = True
    questions: tuple[str, ...] = tuple(EXPECTED)

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        return find_spec(self.needs) is not None

    def started(self, facts: Mapping[str, Any]) -> AbstractContextManager[Round]:
        """Measures it while the block lasts; `facts` are the Rego input of each question."""
        if self.inside:
            return child.started(self.inside, facts)
        return server.echo() if self.questions == ("allow",) else server.scopebound()


PEERS = (
    Peer("Falcon and gunicorn, echo", "decides nothing, keeps nothing", questions=("allow",)),
    Peer("Scopebound", "nothing"),
    Peer("Scopebound in process", "no HTTP, no API key", "inside:opened"),
    Peer(
        "regopy as it comes",
        f"{_FACTS}; numbers and texts not exact, no deadline, no gate",
        "rego:regopy_as_it_comes",
    ),
    Peer(
        "regopy as evaluators run it",
        f"{_FACTS}; no deadline, no process apart",
        "rego:regopy_as_evaluators_run_it",
    ),
    Peer("regorus", f"{_FACTS}; no signed bundle, no gate", "rego:regorus", "regorus"),
    Peer(
        PYTHON,
        f"{_FACTS}; one role in code, the first reason only, a change is a release",
        "plain:opened",
    ),
    Peer(
        "cedarpy",
        f"{_FACTS}; patterns with * only, codes but no reasons, no signed bundle",
        "cedar:opened",
        "cedarpy",
    ),
    Peer(
        "casbin",
        f"{_FACTS}; denials name no rule, no signed bundle",
        "pycasbin:opened",
        "casbin",
        named=False,
    ),
)
