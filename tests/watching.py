"""What a server says of itself in /healthz and /metrics, where tests know what happened to it."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.load import Answer
from tests.servers import PLAIN, RunningServer

WELL = {
    "journal_writable": 1,
    "clerk_up": 1,
    "journal_lag_records": 0,
    "journal_lag_seconds": 0,
}
_PREFIX = "scopebound_"


@dataclass(frozen=True)
class Metrics:
    """The metrics that have no labels, and recorded decisions: by deny code, or as "allow".

    What is not known is not a number.
    """

    values: Mapping[str, float]
    decisions: Counter[str]

    def __getitem__(self, name: str) -> float:
        return self.values.get(_PREFIX + name, nan)


def metrics(server: RunningServer) -> Metrics:
    """As they are now."""
    text = httpx.get(f"{server.url}/metrics", **PLAIN).raise_for_status().text
    values, decisions = dict[str, float](), Counter[str]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.labels:
                values[sample.name] = sample.value
            elif sample.name == f"{_PREFIX}decisions_total":
                decisions[sample.labels["deny_code"] or "allow"] += int(sample.value)
    return Metrics(values, decisions)


def health(server: RunningServer) -> dict[str, Any]:
    """As it is now."""
    found: dict[str, Any] = httpx.get(f"{server.url}/healthz", **PLAIN).json()
    return found


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Return once it holds; fail with its last failed assertion, or what it came to."""
    deadline, found = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if found := holds():
                return
        except (AssertionError, httpx.HTTPError) as error:
            found = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s; at last: {found!r}")


def names(server: RunningServer, problem: str, status: str = "degraded") -> bool:
    """Whether the server's health is this, and this expression finds one of its problems."""
    found = health(server)
    assert found["status"] == status, found
    assert any(re.search(problem, each) for each in found["problems"]), found
    return True


def is_well(server: RunningServer) -> bool:
    """Whether nothing is wrong, and nothing waits to be shipped."""
    found, numbers = health(server), metrics(server)
    assert (found["status"], found["problems"]) == ("ok", []), found
    for name, value in WELL.items():
        assert numbers[name] == value, f"{name} is {numbers[name]}"
    return True


def is_signed(server: RunningServer) -> bool:
    """Whether a checkpoint covers all records."""
    return metrics(server)["checkpoint_lag_records"] == 0


def assert_counted(found: Metrics, answers: Iterable[Answer]) -> None:
    """Every answer that came was counted, by verdict and code; what broke may have been, too.

    So the numbers are exact where nothing broke.
    """
    said = Counter(map(_counted_as, answers))
    broken, unrecorded = said.pop("broken", 0), said.pop("unrecorded", 0)
    assert said <= found.decisions
    assert unrecorded <= found["unrecorded_denials_total"]
    counted = found.decisions.total() + int(found["unrecorded_denials_total"])
    assert counted <= said.total() + unrecorded + broken


def _counted_as(answer: Answer) -> str:
    if not answer.status:
        return "broken"
    assert answer.status == 200
    said = answer.decision
    return str(said.get("deny_code", "allow")) if "decision_id" in said else "unrecorded"
