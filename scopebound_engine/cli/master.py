"""The gunicorn master: who can connect is answered, and only a worker that hangs is killed."""

import errno
import socket
import time

from gunicorn.arbiter import Arbiter
from gunicorn.sock import TCP6Socket, TCPSocket

from scopebound_engine.errors import ConfigError


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
        """Take the port, without listening yet. Raises ConfigError."""
        try:
            self.LISTENERS = [_bound(address, self) for address in self.cfg.address]
        except OSError as error:
            raise cannot_listen(", ".join(self.cfg.bind), error) from error
        super().start()

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


def cannot_listen(authority: str, error: OSError) -> ConfigError:
    """What an operator is told where an address cannot be had."""
    remedy = "Set SCOPEBOUND_HOST to an address of this machine."
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        remedy = "Stop what uses the port, or set SCOPEBOUND_PORT to a free one."
    return ConfigError(f"cannot listen on {authority}: {error.strerror or error}. {remedy}")


def _bound(address: tuple[str, int], master: Arbiter) -> TCPSocket:
    kind = _Bound6 if ":" in address[0] else _Bound
    return kind(address, master.cfg, master.log)


class _Bound(TCPSocket):  # type: ignore[misc]  # gunicorn has no types
    """A socket that gunicorn takes for one that listens already, as systemd hands them over."""

    @staticmethod
    def _is_listening(_sock: socket.socket) -> bool:
        return True


class _Bound6(_Bound, TCP6Socket):  # type: ignore[misc]
    """The same with an address of IPv6."""
