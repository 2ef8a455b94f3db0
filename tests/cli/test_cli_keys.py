"""`keys`: API keys and signing keys from the command line."""

import time
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.cli.keys import keys
from scopebound_engine.database.engine import open_database
from scopebound_engine.errors import ConfigError, ConflictError, InputError
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.keys.signing import SigningKeys
from tests.servers import environment
from tests.sessions import store_session


class Shell:
    """Runs `keys` with a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, *arguments: str) -> list[str]:
        """The lines it prints; raises what it raises."""
        return self._run(arguments).stdout.splitlines()

    def said(self, *arguments: str) -> str:
        """What it says beside that, on standard error."""
        return self._run(arguments).stderr

    def _run(self, arguments: tuple[str, ...]) -> Result:
        runner = CliRunner(env=environment(self.data_dir))
        return runner.invoke(keys, arguments, catch_exceptions=False)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


def test_the_last_admin_key_is_not_revoked_and_the_message_says_what_to_do(shell: Shell) -> None:
    shell("create", "first", "--scope", "admin")
    with pytest.raises(ConflictError, match="keys create NAME --scope admin"):
        shell("revoke", "first")
    shell("create", "second", "--scope", "admin")
    assert shell("revoke", "first")[0].startswith("revoked first (")


def test_the_list_tells_of_use_and_revocation(shell: Shell) -> None:
    shell("create", "one")
    shell("create", "two", "--role", "invoices")
    shell("revoke", "one")
    heading, one, two = (line.split() for line in shell("list"))
    assert heading == ["ID", "BEGINS", "NAME", "SCOPES", "ROLES", "MADE", "LAST", "USED", "STATE"]
    assert one[2:5] == ["one", "enforce", "all"]
    assert one[6:8] == ["never", "revoked"]
    assert two[2:5] == ["two", "enforce", "invoices"]
    assert two[6:] == ["never", "active"]


def test_the_sessions_that_a_key_made_end_with_it(shell: Shell) -> None:
    shell("create", "one")
    engine = open_database(None, shell.data_dir)
    role = RoleStore(engine, time.time).create(RoleFields(name="reader"))
    (key,) = ApiKeyStore(engine, time.time).list()
    store_session(engine, str(uuid.uuid4()), role_id=role.id, api_key_id=key.id)
    store_session(engine, str(uuid.uuid4()), role_id=role.id)
    assert shell("revoke", "one") == [f"revoked one ({key.id}); live sessions ended: 1"]
    assert shell("revoke", "one") == [f"revoked one ({key.id}); live sessions ended: 0"]
    engine.dispose()


def test_a_role_is_no_limit_for_an_admin(shell: Shell) -> None:
    with pytest.raises(InputError, match="roles: limits what the scope enforce may provision"):
        shell("create", "x", "--scope", "admin", "--role", "r")


def test_a_role_that_is_not_there_yet_is_said(shell: Shell) -> None:
    shell("list")  # makes the tables
    engine = open_database(None, shell.data_dir)
    role = RoleStore(engine, time.time).create(RoleFields(name="reader"))
    engine.dispose()
    assert "No role" not in shell.said("create", "one", "--role", "reader", "--role", role.id)
    said = shell.said("create", "two", "--role", "reader", "--role", "raeder")
    assert "No role is called 'raeder' yet" in said


def test_a_rotation_is_shown_and_listed(shell: Shell) -> None:
    shell("list")  # makes the tables
    engine = open_database(None, shell.data_dir)
    old, _ = SigningKeys.open(engine, shell.data_dir, lambda: 1_777_464_000.0).current()
    assert shell("list-jwt") == [f"{old}  made 2026-04-29T12:00:00Z  signs on this node"]
    (made,) = shell("rotate-jwt")
    assert made.endswith("; this node signs with it within 3 s")
    former, new = shell("list-jwt")
    assert former.startswith(f"{old}  made 2026-04-29T12:00:00Z  verifies until ")
    assert new.split()[0] == made.split()[1].rstrip(";")
    assert new.endswith("signs on this node")


def test_without_a_key_there_is_nothing_to_rotate(shell: Shell) -> None:
    with pytest.raises(ConfigError, match="SCOPEBOUND_DATA_DIR"):
        shell("rotate-jwt")
    assert shell("list-jwt") == []
