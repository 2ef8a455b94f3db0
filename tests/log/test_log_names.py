"""Which denied tools are counted by name, where there are more names than places."""

import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from scopebound_engine.database.engine import migrate, open_database, reading, transaction
from scopebound_engine.log.names import MOST_NAMES, Place, taken
from tests.migrations import migrate_to


def batches(chosen: random.Random, names: int) -> list[Counter[str]]:
    """Denials of tools of which some come up much more often, as they are stored: in parts."""
    return [
        Counter(
            f"tool-{int(names * chosen.random() ** 4)}" for _ in range(chosen.randrange(1, 400))
        )
        for _ in range(30)
    ]


def counted(parts: list[Counter[str]]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for part in parts:
        places = taken(places, part)
    return places


@pytest.mark.parametrize("seed", range(10))
def test_as_many_names_as_there_are_places_are_counted_exactly(seed: int) -> None:
    parts = batches(random.Random(seed), MOST_NAMES)
    assert counted(parts) == {name: Place(calls) for name, calls in sum(parts, Counter()).items()}


@pytest.mark.parametrize("seed", range(10))
def test_of_more_names_every_place_is_accounted_for_and_frequent_tools_have_one(seed: int) -> None:
    parts = batches(random.Random(seed), 40 * MOST_NAMES)
    places, true = counted(parts), sum(parts, Counter[str]())
    assert len(places) == MOST_NAMES
    assert sum(place.calls + place.before for place in places.values()) == true.total()
    for name, place in places.items():
        assert place.calls <= true[name] <= place.calls + place.before
    frequent = {name for name, calls in true.items() if calls > true.total() / MOST_NAMES}
    assert frequent
    assert frequent <= places.keys()


def test_whoever_takes_all_places_cannot_hide_what_it_does_then() -> None:
    taken_first = Counter({f"made-up-{number}": 50 for number in range(MOST_NAMES)})
    tries = [Counter({"delete_all": 1, f"next-{number}": 1}) for number in range(5_000)]
    place = counted([taken_first, *tries])["delete_all"]
    assert place.calls > 4_000


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_former_programs_names_are_kept_as_far_as_there_are_places(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    engine = open_database(url, tmp_path)
    migrate_to(engine, "0011")
    rows = [{"at": at, "name": f"x{n}", "calls": n} for at in (0, 60) for n in range(300 - at)]
    with transaction(engine) as connection:
        connection.execute(
            text("INSERT INTO denied_tools VALUES (60, :at, 'node', :name, :calls)"), rows
        )
    migrate(engine)
    ranked = text("SELECT from_us, calls, before FROM denied_tools ORDER BY from_us, calls DESC")
    with reading(engine) as connection:
        found = connection.execute(ranked).all()
    assert found == [(at, n, 0) for at in (0, 60) for n in range(299 - at, 199 - at, -1)]
    engine.dispose()
