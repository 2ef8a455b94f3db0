"""The peers, and what each leaves out of what Scopebound does for the same answer."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tests.bench.peers import child, server
from tests.bench.peers.question import EXPECTED, Round

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
    Peer("Falcon and gunicorn, echo", "the decision", questions=("allow",)),
    Peer("Scopebound", ""),
    Peer("Scopebound in process", "HTTP, API key", "inside:opened"),
    Peer(
        "regopy as it comes",
        "exact numbers and texts, deadline, gate, signed bundle",
        "rego:regopy_as_it_comes",
    ),
    Peer(
        "regopy as evaluators run it",
        "deadline, a process apart",
        "rego:regopy_as_evaluators_run_it",
    ),
    Peer("regorus", "deadline, gate, signed bundle", "rego:regorus", "regorus"),
    Peer(
        PYTHON,
        "other roles, reasons, any change without a release",
        "plain:opened",
    ),
    Peer(
        "cedarpy",
        "reasons, patterns other than *, deadline, signed bundle",
        "cedar:opened",
        "cedarpy",
    ),
    Peer(
        "casbin",
        "which rule denied, deadline, signed bundle",
        "pycasbin:opened",
        "casbin",
        named=False,
    ),
)
