"""Every exception of the engine. A denial is a value, never an exception.

ScopeboundError
├── ConfigError                a setting is wrong: the process does not start
├── InputError                 a request or document is unfit; names the field
│   ├── TooLargeError          its body is over the limit
│   └── MissingTokenError      an enforce call without a session token: the program is wrong
├── LateBodyError              a request's body did not arrive in time
├── LateCallError              a call's time is over before it is decided
├── AuthenticationError        the API key is missing or unknown
│   └── TooManyAttemptsError   and too many such came from one address
├── ForbiddenError             the API key lacks the scope, or the role is not among its roles
├── NotFoundError              no such role, bundle, key
├── ConflictError              it exists already, or the change does not fit what is there
├── IrreproducibleError        a recorded decision that cannot be made again; says for what cause
├── TooOftenError              it was done too often; it may be tried again later
├── BusyError                  others of its kind are under way; it may be tried again later
├── ActivationError            a worker cannot run the bundle, which therefore takes no effect
├── TokenError                 a session token whose claims may not be believed
├── DatabaseUnavailableError   the database does not answer
├── JournalError               the decision log cannot be written, so nothing may be done
│   └── UnrecordedChangeError  it could not when something was done already
├── LineError                  bytes that are no line of a decision log
├── SigningKeyError            this node has no key to sign sessions with
├── StateUnavailableError      session state is out of reach
├── EngineError                the Rego engine could not do its work
│   ├── CompileError           a policy does not compile; carries findings
│   └── EvaluationError        one evaluation gave no verdict
│       ├── EvaluatorTimeoutError   past its deadline; the evaluator was killed
│       ├── EvaluatorCrashedError   the evaluator's process ended
│       ├── EvaluatorsClosedError   its bundle was let go of; another one is in force
│       └── OverloadError           no evaluator was free in time
└── BundleError                a bundle is refused; carries findings
    ├── ArchiveError           its bytes are not an archive we read
    ├── ManifestError          its manifest is wrong
    ├── SignatureError         it is not signed by a trusted key, or not all of it
    └── GateError              a check before activation failed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a policy or bundle, and how to mend it.

    `line` and `column` are 1-based, 0 where the finding concerns the whole file or bundle. A bundle
    with an error is refused; a warning is told to whoever uploads it.
    """

    step: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    remedy: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        place = place or (f"{self.file}: " if self.file else "")
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}{self.message}{remedy}"


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is to be said of a bundle, or of a folder that may become one."""

    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What refuses it."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What its author should know, and it may be activated all the same."""
        return tuple(finding for finding in self.findings if finding.level == "warning")


class ScopeboundError(Exception):
    """The root: `str()` is one sentence that says what happened and what to do."""


class ConfigError(ScopeboundError):
    """A setting is wrong."""


class InputError(ScopeboundError):
    """A request or document is unfit. `field` is a dotted path, empty for the whole document."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.field = field
        self.detail = detail


class TooLargeError(InputError):
    """A request's body is over the limit."""


class MissingTokenError(InputError):
    """An enforce call carries no session token at all."""


class LateBodyError(ScopeboundError):
    """A request's body did not arrive in time."""


class LateCallError(ScopeboundError):
    """A call's time is over before it is decided."""


class AuthenticationError(ScopeboundError):
    """The API key is missing or unknown."""


class TooManyAttemptsError(AuthenticationError):
    """Too many wrong API keys came from one address."""

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ForbiddenError(ScopeboundError):
    """The API key may not do this."""


class NotFoundError(ScopeboundError):
    """What was asked for does not exist."""


class ConflictError(ScopeboundError):
    """The change does not fit what is there; of a bundle, `findings` say what does not."""

    def __init__(self, detail: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(detail)
        self.findings = tuple(findings)


class IrreproducibleError(ScopeboundError):
    """A recorded decision cannot be made again; `cause` is one of `log/replayable.py`."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(f"this decision cannot be made again: {reason}")
        self.cause = cause


class TooOftenError(ScopeboundError):
    """It was done too often; it may be tried again after some seconds."""

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class BusyError(ScopeboundError):
    """Others of its kind are under way; it may be tried again after some seconds."""

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ActivationError(ScopeboundError):
    """A worker cannot run the bundle, so it takes no effect anywhere."""


class TokenError(ScopeboundError):
    """A session token whose claims may not be believed."""


class DatabaseUnavailableError(ScopeboundError):
    """The database does not answer."""


class JournalError(ScopeboundError):
    """The decision log cannot be written."""


class UnrecordedChangeError(JournalError):
    """Something was changed, and could then not be recorded."""


class LineError(ScopeboundError):
    """Bytes that are no line of a decision log."""


class SigningKeyError(ScopeboundError):
    """This node has no key to sign sessions with."""


class StateUnavailableError(ScopeboundError):
    """Session state is out of reach."""


class EngineError(ScopeboundError):
    """The Rego engine could not do its work."""


class EvaluationError(EngineError):
    """One evaluation gave no verdict. `facts`: what the policy was asked, if it came so far."""

    facts: Mapping[str, Any] | None = None


class UndeclaredCodeError(EvaluationError):
    """A denial with a code that the bundle's manifest does not declare."""

    def __init__(self, code: str, name: str) -> None:
        super().__init__(f"{code} of {name} is not declared in the bundle's manifest")
        self.code = code


class EvaluatorTimeoutError(EvaluationError):
    """An evaluation ran past its deadline and was killed."""


class EvaluatorCrashedError(EvaluationError):
    """An evaluator's process ended in mid-evaluation."""


class EvaluatorsClosedError(EvaluationError):
    """The evaluators were closed before one could be asked: their bundle was let go of."""


class OverloadError(EvaluationError):
    """No evaluator was free before the deadline."""


class FindingsError(ScopeboundError):
    """An error that lists everything that is wrong."""

    def __init__(self, summary: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__("\n".join([summary, *(f"  {finding}" for finding in findings)]))
        self.summary = summary
        self.findings = tuple(findings)


class CompileError(EngineError, FindingsError):
    """A policy does not compile; there is a finding even where the engine does not say why."""

    def __init__(self, summary: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(summary, findings or [Finding("compile", summary)])


class BundleError(FindingsError):
    """A bundle is refused."""


class ArchiveError(BundleError):
    """The bytes are not an archive that is read here."""


class ManifestError(BundleError):
    """The manifest is wrong."""


class SignatureError(BundleError):
    """The bundle is not signed by a trusted key, or not all of it is."""


class GateError(BundleError):
    """A check before activation failed."""
