"""What a worker changes of gunicorn, Python and logging before it serves."""

import gc
import logging
from typing import Any

from gunicorn.workers.gthread import PollableMethodQueue

from scopebound_engine.logs import PatientStream


class Wakeups(PollableMethodQueue):  # type: ignore[misc]  # gunicorn has no types
    """What wakes the main thread, to the end of the process.

    gunicorn closes it while threads may still answer. The byte that one of them writes afterwards
    would go into whatever file has the descriptor by then, such as the database.
    """

    def close(self) -> None:
        """Leave it open."""


def collect_less_garbage() -> None:
    """Python looks for cycles after every 700 new objects, of which a request makes hundreds.

    Nearly all end with their request. What the app consists of is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def log_patiently(logger: logging.Logger) -> None:
    """Have no thread wait for who should read the log: what any peer sends writes lines into it."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(PatientStream(handler.stream))


def look_up_once(settings: Any) -> None:
    """Make gunicorn's settings plain attributes: it searches for some twenty of them a request."""
    for name in settings.settings:
        if not hasattr(type(settings), name):
            vars(settings)[name] = getattr(settings, name)
