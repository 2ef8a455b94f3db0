"""Many sessions are provisioned at once on one embedded database, by several processes."""

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import func, select

from scopebound_engine.access.api_keys import ApiKey, ApiKeyStore
from scopebound_engine.database.engine import migrate, open_database, reading
from scopebound_engine.database.schema import sessions
from scopebound_engine.errors import DatabaseUnavailableError, StateUnavailableError
from scopebound_engine.session.state.sqlite import SqliteState
from tests.provisioning import make_provisioner
from tests.roles import store_role

PROCESSES, THREADS, TIMES = 4, 2, 12
KEY = ApiKey("k", "k", "sb-k", frozenset({"enforce"}), (), datetime.now(UTC))


def provision(folder: Path, role: str) -> list[str]:
    """What went wrong when this process provisioned with all its threads."""
    engine, state = open_database(None, folder), SqliteState(folder)
    provisioner = make_provisioner(engine, state, time.time)

    def again_and_again(_: int) -> list[str]:
        failed = []
        for _ in range(TIMES):
            try:
                provisioner.provision(role, 0, KEY)
            except (DatabaseUnavailableError, StateUnavailableError) as error:
                failed.append(str(error))
        return failed

    with ThreadPoolExecutor(THREADS) as threads:
        return [
            error for failed in threads.map(again_and_again, range(THREADS)) for error in failed
        ]


def test_processes_that_provision_at_once_all_get_their_sessions(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    migrate(engine)
    role = store_role(engine)
    ApiKeyStore(engine, time.time, new_id=lambda: KEY.id).create("k", KEY.scopes)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as processes:
        failed = list(processes.map(provision, [tmp_path] * PROCESSES, [role.id] * PROCESSES))
    assert failed == [[]] * PROCESSES
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).select_from(sessions)).scalar_one()
    assert count == PROCESSES * THREADS * TIMES
