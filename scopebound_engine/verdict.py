"""Verdict and Violation: what a policy said of one call."""

from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["low", "medium", "high", "critical"]
RetryGuidance = Literal["none", "change_args", "wait", "reprovision", "request_access"]

SEVERITIES: tuple[str, ...] = get_args(Severity)
RETRY_GUIDANCE: tuple[str, ...] = get_args(RetryGuidance)


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that fired. `retry_after_seconds` is set only with the guidance "wait"."""

    code: str
    severity: Severity
    reason: str
    retry_guidance: RetryGuidance
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Allowed, or denied with at least one violation, primary first.

    Raises ValueError where the two do not fit: no code path can make an allow by leaving
    violations out, nor a denial without a reason.
    """

    allow: bool
    violations: tuple[Violation, ...]

    def __post_init__(self) -> None:
        if self.allow is not (len(self.violations) == 0):
            raise ValueError("an allow has no violations, a denial has at least one")


ALLOW = Verdict(allow=True, violations=())
