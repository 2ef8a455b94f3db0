"""What an edit would have changed: recorded decisions are decided again with a candidate.

A recorded input holds all that a verdict depends on, the time among it, so nothing else is asked:
neither sessions nor the bundles that decided. Only `input.matches` belongs to a bundle: it is
computed anew for the candidate's matchers, from the recorded arguments.

Compared is the first code of a denial, which is the answer's. Where the candidate gives no verdict
(an error, or past its time), the engine would deny with POLICY_ERROR, and so it counts here.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from scopebound_engine import strict_json
from scopebound_engine.author.backtesting.flips import (
    ALLOW,
    KINDS,
    Bundle,
    Example,
    Flips,
    Kind,
    Report,
    Said,
)
from scopebound_engine.author.subject import Subject
from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.errors import EvaluationError
from scopebound_engine.log.replayable import (
    Cause,
    ImpossibleError,
    bundle_of,
    require_decision,
    said,
)
from scopebound_engine.rego.bulk.judge import Answer, BulkJudge
from scopebound_engine.rego.pool.teller import Origins

Record = Mapping[str, Any]

EXAMPLES: Final = 5
# What a server gives an evaluation, unless it is configured otherwise.
EVALUATION_SECONDS: Final = 0.25
_DAY_SECONDS: Final = 86_400.0
_NO_VERDICT: Final = "POLICY_ERROR"


def backtest(
    candidate: Subject,
    records: Iterable[Record],
    *,
    examples: int = EXAMPLES,
    evaluation_seconds: float = EVALUATION_SECONDS,
    seconds: float = _DAY_SECONDS,
    processes: int | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Report:
    """Decide the records' decisions again, on all processors or by so many `processes`.

    `examples` of each kind of flip are kept, the first ones; `progress` hears of every decision
    that was decided, by their number. Raises CompileError and BundleError with findings,
    InputError for a record that is not as they are written, EngineError, and what `records` raises.
    """
    began = time.monotonic()
    taken = _Taken(records, candidate.matchers())
    codes = {code.code: code.severity for code in candidate.manifest.deny_codes}
    judge = BulkJudge(
        candidate.program,
        codes,
        evaluation_seconds=evaluation_seconds,
        seconds=seconds,
        processes=processes,
    )
    with judge:
        flips = Flips(examples)
        for record, answer in judge.verdicts(taken.questions()):
            _compare(record, answer, judge.origins, flips)
            progress(flips.decided)
    return Report(
        name=candidate.manifest.name,
        version=candidate.manifest.version,
        policy=_digest(candidate),
        records=taken.records,
        decided=flips.decided,
        undecidable=dict(sorted(taken.causes.items())),
        bundles=tuple(taken.by_bundle()),
        kinds={kind: flips.kinds[kind] for kind in KINDS},
        altered=flips.altered,
        without_verdict=flips.without_verdict,
        groups=flips.groups(),
        examples=flips.examples(),
        warnings=tuple(_warnings(candidate, taken)),
        seconds=time.monotonic() - began,
    )


def _digest(candidate: Subject) -> str:
    """The SHA-256, in hex, of all that decides: rules, data and manifest, without tests."""
    program = candidate.program
    parts = [dict(program.modules), program.data, candidate.manifest.raw]
    return hashlib.sha256(strict_json.dumps(parts)).hexdigest()


@dataclass
class _Taken:
    """The records as they are taken in, and what cannot be decided again."""

    _records: Iterable[Record]
    _matchers: Matchers
    records: int = 0
    causes: Counter[Cause] = field(default_factory=Counter)
    _bundles: Counter[tuple[str, str]] = field(default_factory=Counter)

    def questions(self) -> Iterator[tuple[Record, Mapping[str, Any]]]:
        """The decisions among them, each with the facts for the candidate. Raises InputError."""
        for record in self._records:
            self.records += 1
            try:
                require_decision(record)
            except ImpossibleError as error:
                self.causes[error.cause] += 1
                continue
            checksum, _ = bundle_of(record)
            self._bundles[str(record["bundle"].get("version", "")), checksum] += 1
            facts = record["input"]
            yield record, {**facts, "matches": self._matchers.judge(facts)}

    def by_bundle(self) -> Iterator[Bundle]:
        """Those that decided, the most usual first."""
        for (version, checksum), decisions in self._bundles.most_common():
            yield Bundle(version, checksum, decisions)


def _warnings(candidate: Subject, taken: _Taken) -> Iterator[str]:
    if names := ", ".join(candidate.manifest.matchers):
        yield f"input.matches ({names}) was computed anew from the recorded arguments"
    if masked := taken.causes["masked"]:
        yield (
            f"{masked:,} decisions have masked arguments and were not decided again: what the "
            "candidate would say of them is not known"
        )


def _compare(record: Record, answer: Answer, origins: Origins, flips: Flips) -> None:
    recorded = said(record)
    now = tuple(_now(answer, origins))
    was_code = str(recorded.get("deny_code", ALLOW))
    now_code = now[0].code if now else ALLOW
    kind = _kind(was_code, now_code)
    flips.count(isinstance(answer, EvaluationError))
    if kind is None:
        flips.altered += _pairs(recorded.get("violations", ())) != [(s.code, s.reason) for s in now]
        return
    role = record.get("role")
    flips.add(
        Example(
            kind=kind,
            id=record["id"],
            at=str(record.get("at", "")),
            tool=str(record.get("tool_name", "")),
            role=str(role.get("name", "")) if type(role) is dict else "",
            was=tuple(_was(record.get("violations", ()))),
            now=now,
        ),
        was_code,
        now_code,
    )


def _kind(was: str, now: str) -> Kind | None:
    if was == now:
        return None
    if now == ALLOW:
        return "deny_to_allow"
    return "allow_to_deny" if was == ALLOW else "deny_code"


def _now(answer: Answer, origins: Origins) -> Iterator[Said]:
    if isinstance(answer, EvaluationError):
        yield Said(_NO_VERDICT, str(answer), ())
        return
    for one in answer.violations:
        yield Said(one.code, one.reason, origins.get(one.code, ()))


def _was(violations: Iterable[Mapping[str, Any]]) -> Iterator[Said]:
    for code, reason in _pairs(violations):
        yield Said(code, reason, ())


def _pairs(violations: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(cast(str, one.get("code")), cast(str, one.get("reason"))) for one in violations]
