"""Commands that change a node's keys and baselines without its server, in its decision log."""

import os
import shutil
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.cli.drift import drift
from scopebound_engine.cli.keys import keys
from scopebound_engine.cli.trust import trust
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.errors import JournalError
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.keys.signing import SigningKeys
from tests.ended import store_ended
from tests.recording import NODE, Record, lines_of, records_of
from tests.servers import environment


def run(data_dir: Path, group: click.Group, *arguments: str) -> Result:
    """Raises what the command raises."""
    runner = CliRunner(env=environment(data_dir))
    result = runner.invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The data folder of a node."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "node-id").write_text(f"{NODE}\n")
    return folder


def recorded(node: Path) -> Record:
    """The last record, which a command made."""
    record = records_of(node)[-1]
    assert record["actor"]["name"] == "command line"
    assert record["actor"]["user"]
    assert record["node"] == NODE
    return record


def test_api_keys_are_recorded_with_what_they_may_and_without_their_secret(node: Path) -> None:
    secret = run(node, keys, "create", "ci", "--scope", "audit").stdout.strip()
    made = recorded(node)
    assert made["event"] == "api_key.created"
    assert made["subject"]["name"] == "ci"
    assert made["details"] == {"scopes": ["audit"], "roles": [], "hint": secret[:8]}
    run(node, keys, "revoke", "ci")
    gone = recorded(node)
    assert (gone["event"], gone["subject"]) == ("api_key.revoked", made["subject"])
    assert gone["details"] == {"sessions_ended": 0}
    assert secret.encode() not in b"".join(lines_of(node))


def test_a_rotation_is_recorded(node: Path) -> None:
    run(node, keys, "list")  # makes the tables
    engine = open_database(None, node)
    SigningKeys.open(engine, node, time.time)
    engine.dispose()
    kid = run(node, keys, "rotate-jwt").stdout.split()[1].rstrip(";")
    assert recorded(node)["event"] == "signing_key.rotated"
    assert recorded(node)["subject"] == {"type": "signing_key", "id": kid}


def test_whose_bundles_are_believed_is_recorded(node: Path, tmp_path: Path) -> None:
    pem = tmp_path / "release.pem"
    pem.write_text(SigningKey.generate("es256").public_pem())
    elsewhere = tmp_path / "elsewhere"
    run(node, trust, "add", str(pem), "--dir", str(elsewhere))
    assert not (node / "log").exists()
    run(node, trust, "add", str(pem))
    added = recorded(node)
    assert (added["event"], added["subject"]["name"]) == ("bundle_key.trusted", "release")
    folder = str(node / "bundle-keys" / "trusted")
    run(node, trust, "revoke", "release", "--reason", "stolen", "--dir", folder)
    revoked = recorded(node)
    assert (revoked["event"], revoked["subject"]) == ("bundle_key.revoked", added["subject"])
    assert revoked["details"] == {"reason": "stolen"}


def test_a_fitted_baseline_is_recorded(node: Path) -> None:
    engine = open_database(None, node)
    migrate(engine)
    roles = RoleStore(engine, time.time)
    role = roles.create(RoleFields(name="reader", allowed_tools=("read", "mail")))
    roles.create(RoleFields(name="young"))
    store_ended(engine, role.id, [{"read": 30, "mail": 1}] * 20)
    engine.dispose()
    run(node, drift, "fit", "--all")
    (fitted,) = records_of(node)
    assert fitted["event"] == "role.baseline_fitted"
    assert fitted["subject"] == {"type": "role", "id": role.id, "name": "reader"}


def test_where_the_log_cannot_be_written_nothing_is_changed(node: Path) -> None:
    (node / "log").touch()
    with pytest.raises(JournalError, match="cannot be written"):
        run(node, keys, "create", "ci")
    engine = open_database(None, node)
    assert ApiKeyStore(engine, time.time).list() == ()
    engine.dispose()


def test_elsewhere_than_on_a_node_it_says_that_it_is_not_recorded(tmp_path: Path) -> None:
    result = run(tmp_path / "data", keys, "create", "ci")
    assert "api_key.created is in no decision log" in result.stderr
    assert result.stdout.startswith("sb-")
    assert not (tmp_path / "data" / "log").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_the_log_of_another_user_is_left_alone(node: Path) -> None:
    run(node, keys, "list")
    shutil.chown(node, 12345)
    with pytest.raises(JournalError, match="run it as that user"):
        run(node, keys, "create", "ci")
    assert not (node / "log").exists()
