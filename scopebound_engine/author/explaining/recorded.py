"""Explains recorded decisions, each by the bundle that made it."""

from collections.abc import Mapping
from typing import Any

from scopebound_engine.author import subject
from scopebound_engine.author.explaining.candidates.callers import Constraints
from scopebound_engine.author.explaining.explain import SECONDS, Explanation, explain
from scopebound_engine.errors import (
    BundleError,
    EngineError,
    EvaluationError,
    IrreproducibleError,
    NotFoundError,
)
from scopebound_engine.log.replayable import ImpossibleError, bundle_of, require_decision
from scopebound_engine.log.shelf import Shelf
from scopebound_engine.role.inheritance import effective
from scopebound_engine.role.store import RoleStore
from scopebound_engine.times import moment


def explain_record(
    record: Mapping[str, Any],
    shelf: Shelf,
    *,
    known: Constraints | None = None,
    turn: bool = True,
    seconds: float = SECONDS,
) -> Explanation:
    """What `explain` tells of a record's input.

    Raises IrreproducibleError where it cannot be decided again, InputError for a record that is
    none, EvaluationError where it now gets no verdict, and what the shelf's places raise.
    """
    try:
        require_decision(record)
    except ImpossibleError as error:
        raise IrreproducibleError(error.cause, str(error)) from error
    checksum, at_us = bundle_of(record)
    try:
        bundle = shelf.bundle(checksum, moment(at_us / 1_000_000))
    except (NotFoundError, BundleError) as error:
        raise IrreproducibleError("bundle", f"its bundle cannot be had: {error}") from error
    decides = subject.of_bundle(bundle)
    try:
        return explain(decides, record["input"], known=known, turn=turn, seconds=seconds)
    except EvaluationError:
        raise
    except EngineError as error:
        raise IrreproducibleError("bundle", f"its bundle cannot decide here: {error}") from error


class Explainer:
    """Explains the records of a node's database."""

    def __init__(self, shelf: Shelf, roles: RoleStore) -> None:
        self._shelf, self._roles = shelf, roles

    def explain(self, record: Mapping[str, Any], seconds: float) -> Explanation:
        """What `explain_record` tells. Raises DatabaseUnavailableError besides."""
        return explain_record(record, self._shelf, known=self._known(record), seconds=seconds)

    def _known(self, record: Mapping[str, Any]) -> Constraints | None:
        """The role's constraints by tool, if the role is still what the session was given."""
        role = record.get("role", {})
        try:
            now = self._roles.get(str(role.get("id", "")))
        except NotFoundError:
            return None
        granted = effective(self._roles.chain(now))
        tools = record.get("input", {}).get("claims", {}).get("allowed_tools")
        if now.revision != role.get("revision") or [*granted.allowed_tools] != tools:
            return None
        return {
            tool: [one.model_dump(mode="json") for one in found]
            for tool, found in granted.parameter_constraints.items()
        }
