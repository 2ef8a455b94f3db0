"""What is kept of a bundle that was refused, or let pass because somebody answers for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

from scopebound_engine.bundle.registry.events import brief
from scopebound_engine.bundle.registry.registry import Actor, Registry
from scopebound_engine.errors import ActivationError, ConflictError, Finding, FindingsError

FLOOR: Final = "floor"
# Whose warnings are of what somebody has to acknowledge.
_ACKNOWLEDGED: Final = frozenset({FLOOR, "backtest"})
# An archive can be wrong in thousands of ways at once. The answer has them all.
_MOST_LOGGED: Final = 5

log = structlog.get_logger()


@contextmanager
def recorded(registry: Registry, actor: Actor, **known: str) -> Iterator[dict[str, str]]:
    """What is raised within is an event; the block may add what becomes `known` of the bundle."""
    try:
        yield known
    except (FindingsError, ConflictError, ActivationError) as error:
        findings = () if isinstance(error, ActivationError) else error.findings
        reason = error.summary if isinstance(error, FindingsError) else str(error)
        log.warning(
            "bundle refused",
            **known,
            actor=actor.name,
            api_key=actor.api_key_id,
            reason=brief(reason),
            findings=[brief(str(finding)) for finding in findings[:_MOST_LOGGED]],
            findings_count=len(findings),
        )
        registry.refused(actor=actor, reason=reason, findings=findings, **known)
        raise


def note_acknowledged(
    registry: Registry, warnings: tuple[Finding, ...], actor: Actor, known: Mapping[str, str]
) -> None:
    """That this actor let it pass in spite of these warnings, of those that need it."""
    allowed = [warning for warning in warnings if warning.step in _ACKNOWLEDGED]
    if allowed:
        registry.note("bundle.acknowledged", actor=actor, findings=allowed, **known)
