"""The process of a backtest on a server, started by `backtests.py` with its settings as variables.

Its standard input has what is asked, a line of JSON, and then the bundle; it answers with one
object on its standard output: the report, or why there is none.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from scopebound_engine.author import subject
from scopebound_engine.author.backtesting.backtest import backtest
from scopebound_engine.author.backtesting.server import Wish
from scopebound_engine.background import step_back
from scopebound_engine.bundle.format import archive
from scopebound_engine.config import from_env
from scopebound_engine.database.engine import open_database
from scopebound_engine.errors import (
    BundleError,
    CompileError,
    DatabaseUnavailableError,
    EvaluatorTimeoutError,
    ScopeboundError,
)
from scopebound_engine.log.decisions import DecisionLog, Search
from scopebound_engine.log.replayable import read
from scopebound_engine.node import database_url

_HOUR_US: Final = 3_600_000_000
_PAGE: Final = 500
_MARGIN_SECONDS: Final = 10


def main() -> None:
    """Answer and end."""
    step_back()
    wish = Wish(**json.loads(sys.stdin.buffer.readline()))
    # Whoever asked may be gone, and nobody else ends this.
    signal.alarm(int(wish.seconds) + _MARGIN_SECONDS)
    answer = _answer(wish, sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(answer))


def _answer(wish: Wish, bundle: bytes) -> Mapping[str, Any]:
    try:
        config = from_env()
        log = DecisionLog(open_database(database_url(config), config.data_dir))
        report = backtest(
            subject.of_files("bundle", archive.read(bundle)),
            islice(_newest(log, wish.hours), wish.records),
            evaluation_seconds=wish.evaluation_seconds,
            seconds=wish.seconds,
            # One processor is left to those who decide.
            processes=max(1, len(os.sched_getaffinity(0)) - 1),
        )
    except (BundleError, CompileError) as error:
        findings = [asdict(finding) for finding in error.findings]
        return {"kind": "bundle", "message": error.summary, "findings": findings}
    except EvaluatorTimeoutError as error:
        return {"kind": "busy", "message": str(error)}
    except DatabaseUnavailableError as error:
        return {"kind": "database", "message": str(error)}
    except ScopeboundError as error:
        return {"kind": "other", "message": str(error)}
    return {"report": report.as_dict()}


def _newest(log: DecisionLog, hours: int) -> Iterator[dict[str, Any]]:
    """The records of the last hours, newest first."""
    after = None
    search = Search(since_us=int(time.time() * 1_000_000) - hours * _HOUR_US)
    while True:
        page = log.page(search, _PAGE, after)
        for line in page.lines:
            yield read(line.encode())
        if page.next is None:
            return
        after = page.next


if __name__ == "__main__":
    main()
