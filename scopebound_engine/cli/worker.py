"""The gunicorn worker: threads that no idle or dawdling connection can hold.

gunicorn's own thread worker gives a connection a thread as soon as it is accepted and lets it
wait there for bytes, without a bound on the time a request may take to arrive. Here a connection
gets a thread only when bytes are there, and its socket stops receiving at a deadline; it also
remembers when the bytes came, so that the time a request spends in the queue counts.
"""

import errno
import resource
import selectors
import socket
import time
from functools import partial
from typing import Any, Final

from gunicorn.workers.gthread import TConn, ThreadWorker

from scopebound_engine.errors import ScopeboundError

# For request line and headers; the application sets the deadline of the body.
HEADER_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
MOST_DESCRIPTORS: Final = 16_384
# For the database, evaluators, logs and whatever a library opens.
RESERVED_DESCRIPTORS: Final = 256
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TimedSocket(socket.socket):
    """A connection that knows when its request began to arrive, and its receiving deadline.

    Both are times of `time.monotonic()`; without a deadline it waits for ever.
    """

    arrived: float = 0.0
    deadline: float | None = None

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As a socket's. Past the deadline it gives what has arrived, or raises TimeoutError.

        A request that waited in the queue is there although its time is over, and is answered.
        """
        if self.deadline is None:
            return super().recv(size, flags)
        given, left = self.gettimeout(), max(0.0, self.deadline - time.monotonic())
        self.settimeout(left if given is None else min(left, given))
        try:
            return super().recv(size, flags)
        except BlockingIOError as error:
            raise TimeoutError("nothing arrived before the deadline") from error
        finally:
            self.settimeout(given)


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection whose end nobody waits for.

    gunicorn's own waits up to 2 s for the peer's end, in the one thread that serves all
    connections. What of a request was not read has been drained before (`api/body.py`).
    """

    def close(self, graceful: bool = False) -> None:
        """Close it; what has arrived is taken from the kernel, which would reset it otherwise."""
        if graceful:
            self.sock.deadline = 0.0
        super().close(graceful)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's thread worker with timed sockets."""

    worker_connections: int

    def load_wsgi(self) -> None:
        """Load the app. A worker that cannot ends alone and is replaced a little later.

        gunicorn's own ending for this case stops the master, and with it workers that serve well.
        """
        try:
            super().load_wsgi()
        except ScopeboundError as error:
            self.log.error("a worker cannot start and tries again: %s", error)
            time.sleep(RETRY_SECONDS)
            raise SystemExit(1) from error

    def init_process(self) -> None:
        """Take as many connections as the system lets this process have descriptors for."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        self.worker_connections = min(self.worker_connections, max(16, most - RESERVED_DESCRIPTORS))
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and wait for its first bytes without a thread."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            # The connection waits in the kernel; those that are open are served meanwhile.
            time.sleep(0.01)
            return
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = TimedSocket(fileno=accepted.detach())
        self.nr_conns += 1
        waiting = Connection(self.cfg, connection, address, listener.getsockname())
        waiting.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(waiting)
        self.poller.register(
            connection, selectors.EVENT_READ, partial(self.on_pending_socket_readable, waiting)
        )

    def enqueue_req(self, conn: Any) -> None:
        """Bytes are there: note the time and queue the request for a thread."""
        conn.sock.arrived = time.monotonic()
        conn.sock.deadline = conn.sock.arrived + HEADER_SECONDS
        super().enqueue_req(conn)
