"""The two calls that every peer decides: one is allowed, one is denied.

A peer in process is a module's function

    opened()  makes ready what can be ready before a call, and gives
        decide(question)  the code of the denial, DENIED where it has none, None for an allow

A question is a call as it is once its JSON was parsed and its token verified. What a peer makes of
it for its engine belongs to the decision and is measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.peers.measuring import Figures
from tests.bench.scenario import TYPICAL

CALLS: Mapping[str, Mapping[str, Any]] = {
    "allow": TYPICAL.arguments,
    "deny": {**TYPICAL.arguments, "amount": 60_000},
}
CODE = "PARAMETER_VIOLATION"
EXPECTED = {"allow": None, "deny": CODE}
DENIED = "denied"


@dataclass(frozen=True)
class Question:
    """A call, and the Rego input that Scopebound makes of it; its `claims` are the token's."""

    tool: str
    arguments: dict[str, Any]
    facts: dict[str, Any]


Decide = Callable[[Question], str | None]
# Measures a question for so many seconds.
Round = Callable[[str, float], Figures]


def questions(facts: Mapping[str, dict[str, Any]]) -> dict[str, Question]:
    """The questions, given the Rego input of each."""
    return {
        name: Question(TYPICAL.tool, dict(arguments), facts[name])
        for name, arguments in CALLS.items()
    }
