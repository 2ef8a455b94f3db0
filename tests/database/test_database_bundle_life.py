"""Databases made by the program before bundles had a life."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import IntegrityError

from scopebound_engine.bundle.registry.registry import Actor, Registry
from scopebound_engine.database.engine import migrate, open_database, reading, transaction
from scopebound_engine.database.schema import bundles, metadata
from scopebound_engine.times import moment
from tests.migrations import migrate_to
from tests.sessions import VOLATILE_TABLES

ME = Actor("me")
_BUNDLE = text(
    "INSERT INTO bundles (id, name, version, checksum, identity, bundle_path, description, "
    "uploaded_at, bytes) VALUES (:id, 'sample', :version, :checksum, :identity, :id, 'kept', "
    ":uploaded_at, :bytes)"
)
_ACTIVATION = text(
    "INSERT INTO activations (bundle_id, activated_at, actor) VALUES (:bundle_id, 2000000, :actor)"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def former(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database at revision 0004: three bundles, the second activated between the first's two."""
    sqlite = request.param == "sqlite"
    url = None if sqlite else request.getfixturevalue("empty_postgres_url")
    engine = open_database(url, tmp_path)
    migrate_to(engine, "0004")
    for version, name in enumerate(("first", "second", "third"), start=1):
        add(engine, name, version, identity=f"identity of {name}")
    activate(engine, "first", "second", "first")
    yield engine
    engine.dispose()


def add(engine: Engine, name: str, version: int, identity: str) -> None:
    row = {
        "id": name,
        "version": f"{version}.0.0",
        "checksum": f"checksum of {name}",
        "identity": identity,
        "uploaded_at": version * 1_000_000,
        "bytes": b"\0bytes of " + name.encode(),
    }
    with transaction(engine) as connection:
        connection.execute(_BUNDLE, row)


def activate(engine: Engine, *names: str) -> None:
    with transaction(engine) as connection:
        for name in names:
            connection.execute(_ACTIVATION, {"bundle_id": name, "actor": f"who sent {name}"})


def test_bundles_and_activations_of_a_former_program_survive(former: Engine) -> None:
    migrate(former)
    registry = Registry(former, lambda: 5.0)
    active = registry.active()
    assert active is not None
    assert (active.id, active.generation, active.key_id) == ("first", 3, "")
    assert (active.uploaded_at, active.activated_at) == (moment(1), moment(2))
    assert [version.id for version in registry.versions()] == ["third", "second", "first"]
    assert [version.uploaded_by for version in registry.versions()] == [
        "",
        "who sent second",
        "who sent first",
    ]
    assert registry.data("second") == b"\0bytes of second"
    highest = registry.highest_activated()
    assert highest is not None
    assert highest.id == "second"
    assert registry.activate("third", actor=ME).generation == 4


def test_an_upgraded_database_has_exactly_the_tables_of_the_schema(former: Engine) -> None:
    migrate(former)
    with former.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, *_: name not in VOLATILE_TABLES}
        )
        assert compare_metadata(context, metadata) == []


def test_references_to_bundles_are_still_checked_once_upgraded(former: Engine) -> None:
    migrate(former)
    with pytest.raises(IntegrityError), transaction(former) as connection:
        connection.execute(_ACTIVATION, {"bundle_id": "nowhere", "actor": ""})
    with pytest.raises(IntegrityError), transaction(former) as connection:
        connection.execute(text("DELETE FROM bundles WHERE id = 'first'"))


def test_of_versions_with_one_identity_the_last_in_force_is_kept(former: Engine) -> None:
    add(former, "first anew", 4, identity="identity of first")
    add(former, "third anew", 5, identity="identity of third")
    migrate(former)
    registry = Registry(former, lambda: 5.0)
    assert [version.id for version in registry.versions()] == ["third anew", "second", "first"]
    with reading(former) as connection:
        gone = text("SELECT id FROM bundles WHERE bytes IS NULL AND removed_at IS NOT NULL")
        assert set(connection.execute(gone).scalars()) == {"first anew", "third"}


def test_no_identity_is_kept_twice(former: Engine) -> None:
    migrate(former)
    with reading(former) as connection:
        row = dict(connection.execute(bundles.select()).mappings().first() or {})
    with transaction(former) as connection:
        gone = row | {"id": "gone", "bundle_path": "gone", "removed_at": moment(9)}
        connection.execute(insert(bundles).values(gone))
    with pytest.raises(IntegrityError), transaction(former) as connection:
        connection.execute(insert(bundles).values(row | {"id": "twice", "bundle_path": "twice"}))


def test_a_database_without_bundles_is_upgraded_too(former: Engine) -> None:
    with transaction(former) as connection:
        connection.execute(text("DELETE FROM activations"))
        connection.execute(text("DELETE FROM bundles"))
    migrate(former)
    assert Registry(former, lambda: 5.0).generation() == 0
