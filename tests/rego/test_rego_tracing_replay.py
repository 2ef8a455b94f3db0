"""An evaluation is followed along its marks: what is found again is what the engine found."""

import json
import random
from typing import Any

import pytest

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.tracing import trail
from scopebound_engine.rego.tracing.conditions import attempts, bodies
from scopebound_engine.rego.tracing.facts import happenings, read_by
from scopebound_engine.rego.tracing.job import Tracer
from scopebound_engine.rego.tracing.values import Set

POLICY = """package t

import rego.v1

import data.settings

default all_small := false

all_small if {
	every item in input.list {
		item < settings.small
		item > 0
	}
}

found contains pair if {
	some key, inner in input.map
	some place, value in inner
	value == input.wanted
	pair := [key, place]
}

lookup[name] := size if {
	some name, inner in input.map
	size := count(inner)
}

chosen := "first" if {
	input.list[0] == 1
} else := "second" if {
	input.list[1] == 1
} else := "none"

twice(number) := number * 2

kind("a", value) := "an a" if value > 1

kind("b", value) := sprintf("b %v", [value])

kinds contains kind(letter, value) if {
	some letter in ["a", "b", "c"]
	some value in input.list
}

doubled := [twice(item) | some item in input.list; not item == 3]

squares := {sprintf("%d", [item]): twice(item) | some item in input.list; item in settings.squared}

destructured := left if {
	[left, right] := input.pair
	left != right
}

overridden if {
	small with input.list as [1]
	not small with input.list as [100]
}

small if {
	count(input.list) == 1
	input.list[0] < 10
}

deep := object.get(input, ["map", "x"], "nothing")

joined := object.union({"pair": object.get(input, "pair", [])}, {"more": true})

t := {
	"all_small": all_small,
	"found": found,
	"lookup": lookup,
	"chosen": chosen,
	"kinds": kinds,
	"doubled": doubled,
	"squares": squares,
	"destructured": [value | value := destructured],
	"overridden": [value | value := overridden],
	"deep": deep,
	"joined": joined,
	"strings": [input.text, sprintf("%v|%s", [input.list, input.text])],
}
"""
DATA = {"settings": {"small": 5, "squared": [1, 2, 3]}}


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    return Tracer(Program((("t.rego", POLICY),), DATA, "t/t"))


def document(rng: random.Random) -> dict[str, Any]:
    numbers = [rng.randrange(7) for _ in range(rng.randrange(5))]
    made: dict[str, Any] = {
        "list": numbers,
        "map": {key: [rng.randrange(4) for _ in range(rng.randrange(3))] for key in "xyz"},
        "wanted": rng.randrange(4),
        "pair": [rng.randrange(2) for _ in range(rng.randrange(1, 4))],
        "text": rng.choice(["", '"', "7", "\\", "é\n", '","3","']),
    }
    for name in ("map", "wanted", "pair"):
        if rng.random() < 0.1:
            del made[name]
    return made


def plain(value: Any) -> Any:
    """With sets in one order."""
    if isinstance(value, Set):
        return sorted(map(plain, value), key=json.dumps)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    return value


def test_what_is_followed_comes_to_the_same_value(tracer: Tracer) -> None:
    rng = random.Random(7)
    for _ in range(150):
        made = document(rng)
        run, value = tracer.follow(made)
        assert run.result is not None
        assert plain(run.result.content) == plain(value), json.dumps(made)


def test_values_keep_their_place_in_the_input(tracer: Tracer) -> None:
    made = {"list": [1, 9], "map": {"x": [4, 2]}, "wanted": 2, "pair": [1, 2], "text": ""}
    run, _ = tracer.follow(made)
    read = {fact.path: fact.value for fact in read_by(happenings(run.passages))}
    assert read["input.map.x[1]"] == 2
    assert read["input.list[1]"] == 9
    assert read["data.settings.small"] == 5
    # What a `with` put there is not of the input.
    assert 100 not in read.values()


def test_each_turn_of_a_scan_is_a_way_of_its_own(tracer: Tracer) -> None:
    made = {"list": [], "map": {"x": [4, 2], "y": [2]}, "wanted": 2, "pair": [], "text": ""}
    run, _ = tracer.follow(made)
    asked = [item.run for item in happenings(run.passages) if item.run is not None]
    (found,) = {id(one): one for one in asked if one.function.name.endswith(".found")}.values()
    (body,) = bodies(found)
    ways = list(attempts(body))
    assert [way.end is None for way in ways] == [False, True, True]


def test_what_has_too_many_steps_is_not_followed(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MOST_MARKS", 100)
    with pytest.raises(EngineError, match="more than 100 steps"):
        tracer.follow(document(random.Random(1)))
