import math
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import QueuePool

from scopebound_engine import budget
from scopebound_engine.database.engine import (
    SQLITE_WRITE_SECONDS,
    migrate,
    open_database,
    place,
    reading,
    transaction,
)
from scopebound_engine.database.history import newest
from scopebound_engine.database.schema import activations, metadata, signing_keys
from scopebound_engine.errors import ConfigError, DatabaseUnavailableError, LateCallError
from scopebound_engine.times import moment
from tests.batons import holding_the_baton
from tests.postgres import PostgresServer
from tests.sessions import VOLATILE_TABLES

FORK = get_context("fork")


def add_key(engine: Engine, kid: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            signing_keys.insert().values(kid=kid, public_pem="", not_before=moment(0))
        )


def kids(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return sorted(connection.execute(select(signing_keys.c.kid)).scalars())


def test_migrations_make_exactly_the_tables_of_the_schema(database: Engine) -> None:
    def ours(object_: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and name in VOLATILE_TABLES)

    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(database: Engine) -> None:
    add_key(database, "k")
    migrate(database)
    assert kids(database) == ["k"]


def test_the_migrations_are_numbered_so_that_the_newest_is_known_without_alembic(
    database: Engine,
) -> None:
    config = Config()
    config.set_main_option("script_location", "scopebound_engine:database/migrations")
    assert newest() == ScriptDirectory.from_config(config).get_current_head()
    with reading(database) as connection:
        assert MigrationContext.configure(connection).get_current_revision() == newest()


MIGRATE_AGAIN = """
import sys
from pathlib import Path
from typing import Any
from scopebound_engine.database.engine import migrate, open_database
migrate(open_database(None, Path(sys.argv[1])))
sys.exit("alembic" in sys.modules)
"""


def test_a_process_that_finds_its_database_up_to_date_does_without_alembic(
    migrated_file: Path,
) -> None:
    again = [sys.executable, "-c", MIGRATE_AGAIN, str(migrated_file.parent)]
    assert subprocess.run(again, timeout=30, check=False).returncode == 0


def start_node(url: str | None, data_dir: Path) -> list[str]:
    engine = open_database(url, data_dir)
    migrate(engine)
    return sorted(inspect(engine).get_table_names())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nodes_that_start_at_once_migrate_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    with ProcessPoolExecutor(4, mp_context=FORK) as nodes:
        tables = list(nodes.map(start_node, [url] * 4, [tmp_path] * 4))
    assert {"roles", "api_keys", "activations"} <= set(tables[0])
    assert tables == [tables[0]] * 4


def test_a_database_of_a_newer_program_is_refused(database: Engine) -> None:
    with transaction(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"schema 9999 of a newer scopebound-engine"):
        migrate(database)


def test_a_failing_transaction_leaves_nothing_behind(database: Engine) -> None:
    twice = [{"kid": "k", "public_pem": "", "not_before": moment(0)}] * 2
    with pytest.raises(IntegrityError), transaction(database) as connection:
        connection.execute(signing_keys.insert(), twice)
    assert kids(database) == []


def test_a_reader_sees_one_snapshot(database: Engine) -> None:
    with reading(database) as connection:
        count = select(signing_keys.c.kid)
        assert connection.execute(count).all() == []
        add_key(database, "k")
        assert connection.execute(count).all() == []
    assert kids(database) == ["k"]


def test_broken_references_are_refused(database: Engine) -> None:
    row = {"bundle_id": "nowhere", "activated_at": moment(0), "actor": ""}
    with pytest.raises(IntegrityError), transaction(database) as connection:
        connection.execute(activations.insert().values(row))


def test_times_come_back_exactly_and_in_utc(database: Engine) -> None:
    then = datetime(2026, 4, 29, 17, 13, 40, 123457, tzinfo=UTC)
    with transaction(database) as connection:
        connection.execute(
            signing_keys.insert().values(kid="k", public_pem="", not_before=then, expires_at=None)
        )
        row = connection.execute(select(signing_keys)).one()
    assert row.not_before == then
    assert row.not_before.tzinfo is UTC
    assert row.expires_at is None


def test_who_waits_for_the_database_lets_other_calls_compute(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holding_the_baton(monkeypatch) as others:
        with reading(database):
            others.compute()
        with transaction(database):
            others.compute()


def test_transactions_with_one_lock_run_one_after_the_other(database: Engine) -> None:
    inside = threading.Lock()
    overlaps = []

    def write(_: int) -> None:
        with transaction(database, lock="test") as connection:
            connection.execute(select(signing_keys.c.kid)).all()
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.02)
            inside.release()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(8)))
    assert overlaps == [False] * 8


INHERITED: list[Engine] = []


def add_in_child() -> tuple[int, list[str]]:
    engine = INHERITED[-1]
    assert isinstance(engine.pool, QueuePool)
    inherited = engine.pool.checkedin()
    add_key(engine, "child")
    return inherited, kids(engine)


def test_a_forked_child_uses_connections_of_its_own(database: Engine) -> None:
    add_key(database, "parent")
    INHERITED.append(database)
    with ProcessPoolExecutor(1, mp_context=FORK) as child:
        assert child.submit(add_in_child).result() == (0, ["child", "parent"])
    assert kids(database) == ["child", "parent"]


def test_the_embedded_database_is_private_durable_and_lets_readers_through(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    engine = open_database(None, folder)
    migrate(engine)
    with engine.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
        modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert settings == ["wal", 2, 1, 500]
    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@contextmanager
def written(engine: Engine, seconds: float) -> Iterator[None]:
    """Another thread is the writer for so long, and has begun."""
    writing = threading.Event()

    def write() -> None:
        with transaction(engine):
            writing.set()
            time.sleep(seconds)

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(write)
        assert writing.wait(5)
        yield
        done.result()


@pytest.mark.parametrize("same_process", [True, False])
def test_a_writer_of_the_embedded_database_who_does_not_end_is_said_in_time(
    same_process: bool, tmp_path: Path
) -> None:
    engine = open_database(None, tmp_path)
    migrate(engine)
    other = engine if same_process else open_database(None, tmp_path)
    began = time.monotonic()
    with written(other, SQLITE_WRITE_SECONDS + 0.5):
        with pytest.raises(DatabaseUnavailableError, match="database is locked"):
            add_key(engine, "k")
        waited = time.monotonic() - began
        assert kids(engine) == []
    assert SQLITE_WRITE_SECONDS <= waited < SQLITE_WRITE_SECONDS + 0.4
    add_key(engine, "k")
    assert kids(engine) == ["k"]


def test_a_call_waits_for_a_free_connection_no_longer_than_it_may(database: Engine) -> None:
    with ExitStack() as stack:
        for _ in range(10):  # as many as there are
            stack.enter_context(database.connect())
        began = time.monotonic()
        with budget.ending(began + 0.1), pytest.raises(DatabaseUnavailableError):
            kids(database)
        assert time.monotonic() - began < 0.3


def test_a_call_without_time_asks_nothing(database: Engine) -> None:
    with budget.ending(time.monotonic()):
        with pytest.raises(LateCallError):
            kids(database)
        with pytest.raises(LateCallError):
            add_key(database, "late")
    assert kids(database) == []


def test_a_call_that_is_late_costs_others_no_connection(own_postgres: PostgresServer) -> None:
    engine = open_database(own_postgres.url(), Path())
    backend = text("SELECT pg_backend_pid()")
    with engine.connect() as one, engine.connect() as other:
        before = {each.execute(backend).scalar_one() for each in (one, other)}
        with (
            budget.ending(time.monotonic() + 0.1),
            pytest.raises(DatabaseUnavailableError, match="no more time"),
            reading(engine) as late,
        ):
            late.execute(text("SELECT pg_sleep(0.3)"))
    with engine.connect() as one, engine.connect() as other:
        assert before & {each.execute(backend).scalar_one() for each in (one, other)}
    engine.dispose()


def test_writers_of_the_embedded_database_who_wait_leave_readers_their_connections(
    tmp_path: Path,
) -> None:
    engine, other = open_database(None, tmp_path), open_database(None, tmp_path)
    migrate(engine)
    with ThreadPoolExecutor(20) as threads, written(other, 0.8):
        waiting = [threads.submit(add_key, engine, f"{n:02}") for n in range(20)]
        time.sleep(0.2)
        began = time.monotonic()
        assert kids(engine) == []
        assert time.monotonic() - began < 0.2
        assert not any(writer.done() for writer in waiting)
    assert kids(engine) == [f"{n:02}" for n in range(20)]


def test_a_change_that_has_its_turn_waits_longer_for_other_writers(tmp_path: Path) -> None:
    engine, other = open_database(None, tmp_path), open_database(None, tmp_path)
    migrate(engine)
    with written(other, SQLITE_WRITE_SECONDS + 0.3), transaction(engine, lock="test"):
        pass
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 500


def test_a_file_that_is_no_database_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "scopebound.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseUnavailableError, match="file is not a database"):
        migrate(open_database(None, tmp_path))


def test_a_data_folder_that_cannot_be_made_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="SCOPEBOUND_DATA_DIR"):
        open_database(None, tmp_path / "file" / "data")


@pytest.mark.parametrize(
    "url", ["mysql://user:secret@host/db", "sqlite:///file.db", "no url, secret", "http://secret@h"]
)
def test_only_postgresql_can_be_named_and_the_url_is_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"postgresql://user:password@host:5432/database"
    ) as error:
        open_database(url, tmp_path)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_all_spellings_of_postgresql_open_it(
    scheme: str, postgres_url: str, tmp_path: Path
) -> None:
    engine = open_database(postgres_url.replace("postgresql", scheme, 1), tmp_path)
    assert kids(engine) == []
    engine.dispose()


def test_passwords_stay_out_of_messages(tmp_path: Path) -> None:
    engine = open_database("postgresql://user:secret@127.0.0.1:1/db", tmp_path)
    with pytest.raises(DatabaseUnavailableError, match="refused") as error:
        kids(engine)
    assert "user:***@127.0.0.1" in place(engine)
    assert "secret" not in str(error.value)


def test_a_stopped_server_is_unavailable_and_found_again(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    engine = open_database(own_postgres.url(), tmp_path)
    migrate(engine)
    own_postgres.stop()
    with pytest.raises(DatabaseUnavailableError):
        kids(engine)
    own_postgres.start()
    assert kids(engine) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("budgeted", "limit", "errors"),
    [
        (math.inf, 1.0, DatabaseUnavailableError),
        (0.1, 0.3, (DatabaseUnavailableError, LateCallError)),
    ],
)
def test_a_frozen_server_is_unavailable_within_the_deadline_of_a_request_and_of_what_is_left(
    own_postgres: PostgresServer, tmp_path: Path, budgeted: float, limit: float, errors: Any
) -> None:
    engine = open_database(own_postgres.url(), tmp_path)
    migrate(engine)
    kids(engine)
    with own_postgres.frozen():
        for _ in range(2):  # on a connection that was open, then on a new one
            began = time.monotonic()
            with budget.ending(began + budgeted), pytest.raises(errors):
                kids(engine)
            assert time.monotonic() - began < limit
    assert kids(engine) == []
    engine.dispose()
