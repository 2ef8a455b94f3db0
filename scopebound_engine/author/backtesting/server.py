"""Backtests on a server: in a process of their own, one at a time on a node, out of the way.

The process steps back behind others, leaves one processor free, and reads the database itself, so
that those who decide calls lose neither processor nor interpreter to it. What it does stands in
`backtest_process.py`.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from scopebound_engine.config import PREFIX, Config
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import (
    BundleError,
    BusyError,
    DatabaseUnavailableError,
    EngineError,
    Finding,
    GateError,
    Level,
    ScopeboundError,
)

# What is refused or acknowledged, and what is only told.
_STEP: Final = "backtest"
_TOLD: Final = "flips"
# Of how many hours decisions are taken, unless it is said, and at most.
WINDOW_HOURS: Final = 24
MOST_HOURS: Final = 720
LOCK_FILE: Final = "backtest.lock"
_COMMAND: Final = (
    *(sys.executable, "-I", "-X", "utf8"),
    *("-m", "scopebound_engine.author.backtesting.process"),
)
# Beyond what it has for its decisions: to start, to compile, to answer.
_MARGIN_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 10
_MOST_TOLD: Final = 10

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a process is asked: at most so many `records` of the last `hours`, newest first.

    `evaluation_seconds` are for each, `seconds` for all.
    """

    hours: int
    records: int
    evaluation_seconds: float
    seconds: float


class Backtests:
    """Backtests with the records of all nodes, as far as they are shipped. For many threads."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def report(self, bundle: bytes, hours: int) -> Report:
        """What this bundle would have changed in the last hours, as JSON; see `flips.Report`.

        Raises BundleError with findings where it does not compile, BusyError where a backtest is
        under way or takes too long, DatabaseUnavailableError, EngineError.
        """
        config = self._config
        wish = Wish(
            hours,
            config.backtest_records,
            config.evaluation_deadline_ms / 1000,
            config.backtest_seconds,
        )
        try:
            with alone(config.data_dir / LOCK_FILE, seconds=0):
                answer = self._answered(wish, bundle)
        except DatabaseUnavailableError as error:
            message = "another backtest is under way on this node; try again later"
            raise BusyError(message, _RETRY_SECONDS) from error
        if "report" not in answer:
            raise _raised(answer)
        report: Report = answer["report"]
        return report

    def require(self, bundle: bytes, hours: int, acknowledged: str) -> tuple[Finding, ...]:
        """Warnings of what this bundle flips, if that is within the limit or acknowledged.

        `acknowledged` is the digest of a report. Raises GateError with findings, and as `report`.
        """
        report, most = self.report(bundle, hours), self._config.backtest_max_deny_to_allow
        allowed = report["kinds"]["deny_to_allow"]
        if allowed <= most:
            return tuple(_flips(report, _TOLD, "warning"))
        if acknowledged == report["digest"]:
            return (_acknowledged(report), *_flips(report, _TOLD, "warning"))
        raise GateError(
            f"denied calls of the last {hours} h that would have been allowed: {allowed:,}",
            [*_flips(report, _STEP, "error"), _refused(report, acknowledged)],
        )

    def _answered(self, wish: Wish, bundle: bytes) -> dict[str, Any]:
        try:
            done = subprocess.run(
                _COMMAND,
                input=json.dumps(asdict(wish)).encode() + b"\n" + bundle,
                stdout=subprocess.PIPE,
                env=self._environment(),
                timeout=wish.seconds + _MARGIN_SECONDS,
                check=False,
            )
            answer: dict[str, Any] = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            return {"kind": "busy", "message": f"the backtest took longer than {wish.seconds:g} s"}
        except (OSError, ValueError) as error:
            raise EngineError(f"the process of the backtest failed: {error}") from error
        return answer

    def _environment(self) -> dict[str, str]:
        # It makes no use of the API, and needs no key.
        config = self._config.model_copy(update={"bootstrap_api_key": None})
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return others | config.environment()


def _raised(answer: dict[str, Any]) -> ScopeboundError:
    message = str(answer.get("message"))
    if answer.get("kind") == "bundle":
        return BundleError(message, [Finding(**each) for each in answer["findings"]])
    if answer.get("kind") == "busy":
        what = "ask for fewer hours, or raise SCOPEBOUND_BACKTEST_SECONDS"
        return BusyError(f"{message}; {what}", _RETRY_SECONDS)
    if answer.get("kind") == "database":
        return DatabaseUnavailableError(message)
    return EngineError(message)


def _flips(report: Report, step: str, level: Level) -> list[Finding]:
    """What flips from a denial to an allow, the most usual first."""
    groups = [one for one in report["groups"] if one["kind"] == "deny_to_allow"]
    found = [
        Finding(
            step,
            f"denied with {one['was']}, and would be allowed: {one['count']:,} of "
            f"{one['tool'] or 'no tool'} by {one['role']}",
            level=level,
        )
        for one in groups[:_MOST_TOLD]
    ]
    if len(groups) > _MOST_TOLD:
        found.append(Finding(step, f"and {len(groups) - _MOST_TOLD} groups more", level=level))
    return found


def _refused(report: Report, acknowledged: str) -> Finding:
    what = "what was sent is that of another report" if acknowledged else "nobody acknowledged it"
    message = f"this backtest has the digest {report['digest']}: {what}"
    remedy = (
        "mend the rules, or repeat the push with --acknowledge-backtest and this digest, in a "
        f"request acknowledge_backtest={report['digest']}"
    )
    return Finding(_STEP, message, remedy=remedy)


def _acknowledged(report: Report) -> Finding:
    message = f"the backtest {report['digest']} was acknowledged: {report['flips']:,} flips"
    return Finding(_STEP, message, level="warning")
