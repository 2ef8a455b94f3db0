"""The gunicorn master: it kills a worker that hangs, not one that stood still with the machine."""

import time

from gunicorn.arbiter import Arbiter


class Master(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's master, which leaves out of account the time in which it did not run itself.

    A paused container or virtual machine, Ctrl-Z, or far too little memory stop it and its workers
    alike, while the clock goes on. gunicorn's own may run first afterwards, finds that no heart has
    beaten for so long, and kills all workers at once.
    """

    timeout: float
    _looked: float | None = None
    _listens_since: float = 0.0

    def murder_workers(self) -> None:
        """Kill workers without a heartbeat for `timeout` seconds. Called about once a second.

        After half of them without a call, all workers get the whole time anew.
        """
        now = time.monotonic()
        if self._looked is not None and now - self._looked > self.timeout / 2:
            self._listens_since = now
        self._looked = now
        if now - self._listens_since > self.timeout:
            super().murder_workers()
