"""GET /healthz and /.well-known/jwks.json: what anyone may know of this node."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import falcon

from scopebound_engine.api.answers import answer_json
from scopebound_engine.bundle.registry.fleet import Fleet, WorkerReport
from scopebound_engine.clerk.keeper import Keeper
from scopebound_engine.decision.active import ActiveBundle
from scopebound_engine.decision.follower import Follower
from scopebound_engine.decision.reports import REPORT_SECONDS
from scopebound_engine.errors import DatabaseUnavailableError
from scopebound_engine.log import status as log_status
from scopebound_engine.log.recorder import Recorder
from scopebound_engine.session.keys.signing import SigningKeys
from scopebound_engine.times import moment, timestamp

# The reference's letter: clients read it as an interface version.
SPRINT: Final = "7"
# A worker that says nothing for so long is stopped or starved.
SILENT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """Can this node decide? "down" (503) when not, "degraded" when something is amiss."""

    active: ActiveBundle
    follower: Follower
    fleet: Fleet
    evaluators: int
    started: float
    clock: Callable[[], float]
    log_dir: Path
    recorder: Recorder
    clerk: Keeper

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The node's health; no API key is needed."""
        own, loaded, ready = self.follower.report(), self.active.current, self.active.evaluators
        try:
            others = [one for one in self.fleet.workers() if _is_beside(own, one)]
            database = True
        except DatabaseUnavailableError:
            others, database = [], False
        unrecorded = self.recorder.problem()
        problems = [
            *([f"the decision log cannot be written: {unrecorded}"] if unrecorded else []),
            *self.follower.problems,
            *self._problems_of(others, own),
            *log_status.problems(self.log_dir),
            *self.clerk.problems(),
        ]
        status = "degraded" if problems or ready != self.evaluators else "ok"
        if unrecorded or not (self.follower.is_sound and ready and database):
            status = "down"
        answer_json(
            resp,
            {
                "status": status,
                "sprint": SPRINT,
                "uptime_seconds": int(time.monotonic() - self.started),
                "bundle_version": loaded.ref.version if loaded else None,
                "bundle_last_synced_at": timestamp(moment(self.follower.synced_at)),
                "db_status": "ok" if database else "down",
                "bundle_generation": own.generation,
                "bundle_checksum": own.checksum,
                "node_id": own.node_id,
                "workers": [self._worker(one) for one in (own, *others)],
                "last_chain_verified_at": self._last_chain_verified_at(),
                "problems": problems,
            },
            HTTPStatus.SERVICE_UNAVAILABLE if status == "down" else HTTPStatus.OK,
        )

    def _last_chain_verified_at(self) -> str | None:
        found = log_status.Status(self.log_dir, log_status.VERIFICATION).read()
        at = found.get("last_chain_verified_at")
        return None if at is None else timestamp(moment(at))

    def _worker(self, report: WorkerReport) -> dict[str, Any]:
        age = None
        if report.loaded_at is not None:
            age = round(max(0.0, self.clock() - report.loaded_at.timestamp()), 1)
        return {
            "pid": report.pid,
            "generation": report.generation,
            "checksum": report.checksum,
            "age_seconds": age,
            "silent_seconds": round(report.silent_seconds, 1),
            "last_error": report.error or None,
        }

    def _problems_of(self, others: list[WorkerReport], own: WorkerReport) -> Iterator[str]:
        """What is wrong with the other workers now, but for what is wrong with this one too."""
        for report in others:
            if report.silent_seconds > SILENT_SECONDS:
                yield f"worker {report.pid} was last heard of {report.silent_seconds:.0f} s ago"
            elif self._is_troubled(report) and report.error != own.error:
                yield f"worker {report.pid}: {report.error}"

    def _is_troubled(self, report: WorkerReport) -> bool:
        """Whether its last error was not yet over at its last report, which renews the time.

        A report takes a while to be written.
        """
        if report.error_at is None:
            return False
        reported_at = self.clock() - report.silent_seconds
        return reported_at - report.error_at.timestamp() < 2 * REPORT_SECONDS


def _is_beside(own: WorkerReport, other: WorkerReport) -> bool:
    return own.node_id == other.node_id and own.worker_id != other.worker_id


@dataclass(frozen=True, slots=True)
class Jwks:
    """The public keys that session tokens are verified with (RFC 7517)."""

    keys: SigningKeys

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The key set; no API key is needed."""
        answer_json(resp, self.keys.jwks())
