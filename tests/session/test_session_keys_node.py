"""The signing keys of a node: made once, rotated, listed."""

from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from scopebound_engine.database.engine import open_database, transaction
from scopebound_engine.database.schema import signing_keys
from scopebound_engine.errors import ConfigError
from scopebound_engine.session.keys.folder import KeyFolder
from scopebound_engine.session.keys.node import RETIRING_SECONDS, NodeKeys
from scopebound_engine.session.keys.published import published
from scopebound_engine.session.tokens import LEEWAY_SECONDS, MAX_LIFE_SECONDS
from scopebound_engine.times import moment

NOW = 1_777_464_000.0


def node(engine: Engine, data_dir: Path, now: float = NOW) -> NodeKeys:
    return NodeKeys(engine, KeyFolder(data_dir), lambda: now)


def files(data_dir: Path) -> set[str]:
    return {file.stem for file in (data_dir / "keys").glob("*.pem")}


def only_file(data_dir: Path) -> str:
    (kid,) = files(data_dir)
    return kid


def test_a_rotation_makes_a_key_and_retires_the_former(database: Engine, tmp_path: Path) -> None:
    data_dir = tmp_path / "a"
    node(database, data_dir).ensure()
    old = only_file(data_dir)
    made = node(database, data_dir, NOW + 60).rotate()
    assert files(data_dir) == {old, made.kid}
    assert (made.not_before, made.expires_at) == (moment(NOW + 60), None)
    retiring = published(database)[old]
    assert retiring.expires_at == moment(NOW + 60) + timedelta(seconds=86_460)


def test_retiring_takes_longer_than_any_token_lives() -> None:
    assert RETIRING_SECONDS >= MAX_LIFE_SECONDS + LEEWAY_SECONDS


def test_a_second_rotation_does_not_prolong_the_first_ones_key(
    database: Engine, tmp_path: Path
) -> None:
    data_dir = tmp_path / "a"
    node(database, data_dir).ensure()
    first = only_file(data_dir)
    second = node(database, data_dir).rotate().kid
    third = node(database, data_dir, NOW + 3600).rotate().kid
    keys = published(database)
    assert keys[first].expires_at == moment(NOW + RETIRING_SECONDS)
    assert keys[second].expires_at == moment(NOW + 3600 + RETIRING_SECONDS)
    assert keys[third].expires_at is None


@pytest.mark.parametrize("change", ["rotate", "ensure"])
def test_the_private_half_is_deleted_once_every_process_had_time_to_go_on(
    database: Engine, tmp_path: Path, change: str
) -> None:
    data_dir = tmp_path / "a"
    node(database, data_dir).ensure()
    first = only_file(data_dir)
    node(database, data_dir).rotate()
    assert first in files(data_dir)
    getattr(node(database, data_dir), change)()
    assert first not in files(data_dir)
    assert published(database)[first].expires_at is not None


def test_other_nodes_keys_are_left_alone(database: Engine, tmp_path: Path) -> None:
    node(database, tmp_path / "a").ensure()
    node(database, tmp_path / "b").ensure()
    made = node(database, tmp_path / "a").rotate()
    other = only_file(tmp_path / "b")
    assert published(database)[other].expires_at is None
    by_kid = {key.kid: own for key, own in node(database, tmp_path / "b").list()}
    assert by_kid[other] is True
    assert by_kid[made.kid] is False
    assert len(by_kid) == 3


def test_keys_are_listed_eldest_first(database: Engine, tmp_path: Path) -> None:
    node(database, tmp_path / "a", NOW).ensure()
    node(database, tmp_path / "a", NOW + 2).rotate()
    node(database, tmp_path / "b", NOW + 1).ensure()
    listed = node(database, tmp_path / "b").list()
    assert [key.not_before for key, _ in listed] == [moment(NOW + n) for n in range(3)]
    assert [own for _, own in listed] == [False, True, False]


def test_a_node_without_a_key_has_nothing_to_rotate(database: Engine, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SCOPEBOUND_DATA_DIR"):
        node(database, tmp_path / "a").rotate()
    assert published(database) == {}
    assert files(tmp_path / "a") == set()


def test_a_key_that_a_broken_off_rotation_left_unpublished_is_retired_by_the_next(
    database: Engine, tmp_path: Path
) -> None:
    data_dir = tmp_path / "a"
    node(database, data_dir).ensure()
    (left,) = KeyFolder(data_dir).make()
    made = node(database, data_dir).rotate()
    keys = published(database)
    assert [kid for kid, key in keys.items() if key.expires_at is None] == [made.kid]
    assert left in keys


def test_rotation_works_in_a_new_database(database: Engine, tmp_path: Path) -> None:
    data_dir = tmp_path / "a"
    node(database, data_dir).ensure()
    with transaction(database) as connection:
        connection.execute(delete(signing_keys))
    made = node(database, data_dir).rotate()
    assert [key.kid for key in published(database).values() if not key.expires_at] == [made.kid]


def rotate_node(url: str | None, database: Path, data_dir: Path) -> str:
    return node(open_database(url, database), data_dir).rotate().kid


def test_rotations_at_once_leave_one_key_that_signs(
    database: Engine, database_url: str | None, tmp_path: Path
) -> None:
    data_dir = tmp_path / "a"
    node(database, data_dir).ensure()
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as processes:
        args = [database_url] * 3, [tmp_path] * 3, [data_dir] * 3
        made = set(processes.map(rotate_node, *args))
    keys = published(database)
    assert len(made) == 3
    assert len(keys) == 4
    assert sum(key.expires_at is None for key in keys.values()) == 1
