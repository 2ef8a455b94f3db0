"""The key of a node's checkpoints: made once, private on the disk, its public half for everyone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scopebound_engine.errors import ConfigError
from scopebound_engine.log import log_keys
from tests.log.tampering import NODE, OTHER_NODE

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_a_key_is_made_once_for_its_owner_only(database: Engine, tmp_path: Path) -> None:
    made = log_keys.ensure(database, tmp_path, NODE, NOW)
    again = log_keys.ensure(database, tmp_path, NODE, NOW + timedelta(days=1))
    assert made.verifier == again.verifier == log_keys.read(tmp_path, NODE).verifier
    assert (tmp_path / log_keys.FILE).stat().st_mode & 0o777 == 0o600
    assert [(one.node, one.key, one.published_at) for one in log_keys.published(database)] == [
        (NODE, made.verifier, NOW)
    ]


def test_all_nodes_keys_are_known_and_so_are_lost_ones(database: Engine, tmp_path: Path) -> None:
    lost = log_keys.ensure(database, tmp_path / "one", NODE, NOW)
    (tmp_path / "one" / log_keys.FILE).unlink()
    new = log_keys.ensure(database, tmp_path / "one", NODE, NOW + timedelta(days=1))
    other = log_keys.ensure(database, tmp_path / "two", OTHER_NODE, NOW + timedelta(days=2))
    keys = [one.key for one in log_keys.published(database)]
    assert keys == [lost.verifier, new.verifier, other.verifier]


@pytest.mark.parametrize("content", [b"", b"no key", None])
def test_a_key_that_cannot_be_read_is_not_passed_over(
    database: Engine, tmp_path: Path, content: bytes | None
) -> None:
    log_keys.ensure(database, tmp_path, NODE, NOW)
    file = tmp_path / log_keys.FILE
    if content is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"checkpoints\.pem"):
        log_keys.ensure(database, tmp_path, NODE, NOW)
