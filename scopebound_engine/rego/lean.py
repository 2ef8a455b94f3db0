"""The form of a compiled policy that evaluators run: the same answers in half the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scopebound_engine.rego import frames, peephole, slots
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.binary.form import Frame
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.rewriting import Variables
from scopebound_engine.rego.slots import Slots


@dataclass(frozen=True)
class Lean:
    """A binary plan, and how facts become its input; without slots they are that themselves."""

    plan: bytes
    slots: Slots | None

    def input(self, facts: Mapping[str, Any]) -> Any:
        """What to give the plan as its input for these facts."""
        return facts if self.slots is None else self.slots.input(facts)


def lean(
    document: dict[str, Any],
    frame: Frame,
    modules: Mapping[str, str],
    entrypoints: Sequence[str],
) -> Lean:
    """Takes a document as it was compiled, which it changes; modules by path, for their packages.

    Each step stands by itself, and leaves the plan as it is where it cannot be sure of it.
    """
    plan, variables = Plan(document, modules), Variables(frame.locals)
    read = slots.rewrite(document, plan, variables)
    peephole.shorten(document, plan)
    places = frames.pack(document, plan.callees, read.variables if read else ())
    encoder = Encoder(document, replace(frame, locals=places or variables.count))
    return Lean(encoder.encode(entrypoints, sorted(plan.functions)), read)
