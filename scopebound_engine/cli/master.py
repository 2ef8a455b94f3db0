"""The gunicorn master: who can connect is answered, and only a worker that hangs is killed."""

import socket
import time

from gunicorn.arbiter import Arbiter


class Master(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's master, except for two things.

    Its port listens when the first worker is ready (`Worker.run`): gunicorn's own listens before
    workers are started, and whoever connects then has no answer for a second or more.

    It leaves out of account the time in which it did not run itself. A paused container or virtual
    machine, Ctrl-Z, or far too little memory stop it and its workers alike, while the clock goes
    on. gunicorn's own may run first afterwards, finds that no heart has beaten for so long, and
    kills all workers at once.
    """

    timeout: float
    _looked: float | None = None
    _listens_since: float = 0.0

    def start(self) -> None:
        """Take the port, without listening yet."""
        super().start()
        for listener in self.LISTENERS:
            listener.sock = _only_bound(listener.sock)

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


def _only_bound(listening: socket.socket) -> socket.socket:
    """A socket with the address of one that listens, in its place: Linux has no way back."""
    bound = socket.socket(listening.family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    address = listening.getsockname()
    listening.close()
    bound.bind(address)
    bound.setblocking(False)
    bound.set_inheritable(True)
    return bound
