"""The gunicorn worker: its threads fetch requests themselves, and no idle peer holds one of them.

gunicorn's own thread worker gives each request from the thread that watches all connections to
one of a pool, and its connection back, which costs more than to parse it. Here all threads wait on
one epoll. A connection is armed for a single event (EPOLLONESHOT, epoll_ctl(2)): one thread gets
it, answers, and arms it again. The main thread accepts, beats the heart that the master listens
to, and ends connections whose time is over.
"""

import errno
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from scopebound_engine import baton
from scopebound_engine.cli.connections import Connection, TimedSocket
from scopebound_engine.cli.fairness import Seat
from scopebound_engine.cli.master import cannot_listen
from scopebound_engine.cli.tuning import (
    Wakeups,
    collect_less_garbage,
    log_patiently,
    look_up_once,
)
from scopebound_engine.errors import ScopeboundError

RETRY_SECONDS: Final = 1.0
MOST_DESCRIPTORS: Final = 16_384
# For the database, evaluators, logs and whatever a library opens.
RESERVED_DESCRIPTORS: Final = 256
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SWEEP_SECONDS: Final = 1.0
_SWEEP_SECONDS_AT_THE_END: Final = 0.2
_DOZING_SECONDS: Final = 3.0


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's thread worker, without its hand-overs, and with timed sockets.

    A connection belongs to whoever took it out of `_idle`: the thread that its event woke, or the
    main thread when its time is over.
    """

    worker_connections: int
    seat: Seat | None = None

    def load_wsgi(self) -> None:
        """Load the app. A worker that cannot ends alone and is replaced a little later.

        gunicorn's own ending for this case stops the master, and with it workers that serve well.
        """
        try:
            super().load_wsgi()
            collect_less_garbage()
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
        self._idle: dict[int, Connection] = {}
        self._counting = threading.Lock()
        self._dozing = 0
        self._places = threading.Semaphore(max(1, self.cfg.threads // 2))
        self._swept = time.monotonic()
        self._epoll = select.epoll()
        self.method_queue = Wakeups()
        self._over = os.eventfd(0)  # readable for all threads once the worker ends
        self._epoll.register(self._over, select.EPOLLIN)
        look_up_once(self.cfg)
        log_patiently(self.log.error_log)
        super().init_process()

    def run(self) -> None:
        """Serve until told to end, and then those who were being served, for a while."""
        for _ in range(self.cfg.threads):
            self.tpool.submit(self._serve)
        try:
            for listener in self.sockets:
                self._listen(listener)
            super().run()
        finally:
            os.eventfd_write(self._over, 1)

    def _listen(self, listener: socket.socket) -> None:
        """The first worker that is ready does it; see `Master`. Ends the service if it cannot."""
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return
        try:
            listener.listen(self.cfg.backlog)
        except OSError as error:
            # Another program began to listen while this one started.
            host, port = listener.getsockname()[:2]
            self.log.critical("%s", cannot_listen(f"{host} port {port}", error))
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from error

    def set_accept_enabled(self, enabled: bool) -> None:
        """As gunicorn's, and the other workers know."""
        super().set_accept_enabled(enabled)
        with self._counting:
            self._tell()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and wait for its first bytes without a thread."""
        if self.seat and self.seat.gives_way(lambda: _is_readable(listener)):
            return
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
        timed = TimedSocket(fileno=accepted.detach())
        timed.places = self._places
        connection = Connection(self.cfg, timed, address, listener.getsockname())
        connection.data_ready = True
        if self.seat:
            self.seat.take()
        self._count(1)
        self._await(connection, self._epoll.register, select.EPOLLIN)

    def murder_keepalived(self, force: bool = False) -> None:
        """End the connections whose time is over; gunicorn calls it in each of its rounds.

        With `force` at the end of the process, which closes all that is left.
        """
        now = time.monotonic()
        if force or now - self._swept < (_SWEEP_SECONDS if self._accepting else 0):
            return
        self._swept = now
        if self._accepting:
            self._count_dozing(now)
        for descriptor, connection in self._idle.copy().items():  # others change it
            if connection.timeout > now:
                if self._accepting:
                    return  # they are in the order in which their time is over
            elif self._idle.pop(descriptor, None) is connection:
                self._end(connection)

    def _count_dozing(self, now: float) -> None:
        """Connections without a request for a while cost nothing, and give no right to wait."""
        latest = now + self.cfg.keepalive - _DOZING_SECONDS
        idle = self._idle.copy().values()  # in the order in which they became idle
        with self._counting:
            self._dozing = sum(1 for _ in takewhile(lambda one: one.timeout < latest, idle))
            self._tell()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As gunicorn's, which knows nothing of idle connections whose time ends before."""
        super().wait_for_and_dispatch_events(
            timeout if self._accepting else min(timeout, _SWEEP_SECONDS_AT_THE_END)
        )

    def _cap_keepalive(self, deadline: float) -> None:
        for connection in self._idle.copy().values():
            connection.timeout = min(connection.timeout, deadline)

    def _serve(self) -> None:
        """What a thread does: one request after another, of whatever connection."""
        while True:
            [(descriptor, _)] = self._epoll.poll(maxevents=1)
            if descriptor == self._over:
                return
            connection = self._idle.pop(descriptor, None)
            if connection is not None:
                self._attend(connection)

    def _attend(self, connection: Any) -> None:
        """Answer one request on a connection that is this thread's alone."""
        baton.take()
        try:
            connection.sock.begin()
            is_kept = self.handle(connection)
            connection.sock.flush()
            if is_kept:
                # What was sent along with a request makes the socket readable no more. It waits in
                # line with other connections, and for its peer to take the answers.
                is_there = connection.parser.unreader.buf.getvalue()
                awaited = select.EPOLLOUT if is_there else select.EPOLLIN
                self._await(connection, self._epoll.modify, awaited)
                return
        except OSError as error:
            self.log.debug("the peer is gone before its answer: %s", error)
        except Exception:
            self.log.exception("a connection is closed, since its request could not be served")
        finally:
            baton.leave()
        self._end(connection)

    def _keepalive_after(self, connection: Any, is_kept: bool) -> bool:
        """As gunicorn's, which waits for what is missing of a body: not before the answer."""
        connection.sock.flush()
        return bool(super()._keepalive_after(connection, is_kept))

    def _await(self, connection: Any, arm: Callable[[int, int], None], event: int) -> None:
        """Let the next request on a connection wake a thread: once armed, it is that thread's."""
        lasting = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        connection.timeout = time.monotonic() + lasting
        descriptor = connection.sock.fileno()
        self._idle[descriptor] = connection
        arm(descriptor, event | select.EPOLLONESHOT)

    def _end(self, connection: Any) -> None:
        connection.close(graceful=True)
        self._count(-1)
        if not self.alive:
            self.method_queue.defer(lambda: None)  # perhaps it was the last one

    def _count(self, more: int) -> None:
        with self._counting:
            self.nr_conns += more
            self._tell()

    def _tell(self) -> None:
        if self.seat and self._accepting:
            self.seat.hold(max(0, self.nr_conns - self._dozing))
        elif self.seat:
            self.seat.leave()


def _is_readable(listener: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
