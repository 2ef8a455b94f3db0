"""One row of results: a load, and what it cost whom."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from tests.bench import alone, kinds, load, wrk
from tests.bench.calibration import unit_us
from tests.bench.figures import Summary
from tests.bench.results import Row
from tests.bench.service import Service
from tests.bench.tables import percent

Loader = Callable[[], tuple[Summary, float]]


def closed(service: Service, bodies: Sequence[str], connections: int, seconds: float) -> Row:
    """So many connections of wrk, each of which waits for its answers."""
    name = f"closed, {connections} connection{'s' * (connections > 1)}"
    found = measured(service, lambda: wrk.closed(service.server, bodies, connections, seconds))
    return {"name": name, "connections": connections, **found}


def opened(
    service: Service, bodies: Sequence[str], share: float, peak: float, seconds: float
) -> Row:
    """Calls at this share of the peak rate."""
    rate = share * peak
    found = measured(service, lambda: load.opened(service.server, bodies, rate, seconds))
    return {"name": f"open, {percent(share)} of the peak", "share": share, "rate": rate, **found}


def warm(service: Service, bodies: Sequence[str], seconds: float) -> None:
    """Load it for a moment, so that what is made at the first calls is not measured."""
    load.closed(service.server, bodies, 4, seconds)


def measured(service: Service, loader: Loader) -> Row:
    """What a load found, and processor time of each answer by kind of process and by stage.

    `unit_us` is what the calibration's unit took around it, `cpu_units` the processor time of the
    service's own processes and its database in such units.
    """
    before_us, decided = unit_us(), service.decided()
    before = kinds.processor_seconds(service.server, service.postgres)
    found, generating = loader()
    after = kinds.processor_seconds(service.server, service.postgres)
    since, unit = service.decided(), (before_us + unit_us()) / 2
    answers = since.allowed + since.denied - decided.allowed - decided.denied
    cpu = {kind: (after[kind] - before[kind]) / answers * 1e6 for kind in kinds.KINDS}
    total = sum(cpu.values())
    return {
        **found._asdict(),
        "per_core": found.per_second / (os.cpu_count() or 1),
        "answers": int(answers),
        "denied": int(since.denied - decided.denied),
        "cpu_us": total,
        "cpu_by_kind_us": cpu | {"generator": generating / answers * 1e6},
        "cpu_units": total / unit,
        "unit_us": unit,
        "stages_us": {
            stage: (spent - decided.seconds.get(stage, 0.0)) / answers * 1e6
            for stage, spent in since.seconds.items()
        },
        "memory_mb": kinds.megabytes(service.server, service.postgres),
    }


def over_alone(service: Service, body: str, row: Row, seconds: float) -> dict[str, Any]:
    """How the row's processor time compares with what its calls' evaluation takes by itself."""
    least = alone.alone_us(service.policy(), service.input(body), seconds)
    return {"alone_us": least, "over_alone": row["cpu_us"] / least}
