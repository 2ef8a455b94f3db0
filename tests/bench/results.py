"""The files of results: `results/<part>.json`, one for each part of the benchmark.

    {"part": "tools", "date": "2026-11-22", "machine": {"processors": 2, "python": "3.11.4",
     "load_before": 0.4}, "calibration": {"unit_us": 98.0}, "settings": {…}, "seconds": 43.0,
     "rows": [{…}, …]}

`seconds` is how long the part took, `unit_us` see `calibration`. Rows have a `name`, and numbers
whose names end in their unit. A part of which the report knows nothing may also have a `title` and
a `note`, a sentence or two; it is shown as a table of its rows.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.calibration import unit_us

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]
_DIGITS = 4


@contextmanager
def recording(
    part: str,
    settings: Mapping[str, Any],
    folder: Path | None = RESULTS,
    **words: str,
) -> Iterator[list[Row]]:
    """The rows that the block adds to its list are written when it ends; without a folder not.

    `words` are `title` and `note`. Where the block raises, nothing is written.
    """
    load, began, before = os.getloadavg()[0], time.monotonic(), unit_us()
    rows: list[Row] = []
    yield rows
    result = {
        "part": part,
        **words,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "load_before": load,
        },
        "calibration": {"unit_us": (before + unit_us()) / 2},
        "settings": dict(settings),
        "seconds": time.monotonic() - began,
        "rows": rows,
    }
    if folder is not None:
        folder.mkdir(exist_ok=True)
        (folder / f"{part}.json").write_text(json.dumps(rounded(result), indent=1) + "\n")


def read_all(folder: Path = RESULTS) -> dict[str, Any]:
    """The results that there are, by part."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def digest(results: Mapping[str, Any], parts: Iterable[str]) -> str:
    """What tells the rows of these parts from others: a plot carries that of what it shows."""
    rows = {part: results[part]["rows"] for part in sorted(parts) if part in results}
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def rounded(value: Any) -> Any:
    """A JSON value with four digits of each float that is not a whole number of thousands."""
    if isinstance(value, float):
        return round(value) if abs(value) >= 10**_DIGITS else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
