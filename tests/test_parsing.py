"""Mistakes in a request: one InputError, dotted paths, sentences without the values."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse


class Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    kind: Literal["a", "b"]


class Order(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    count: Annotated[int, Field(ge=1, le=5)] = 1
    title: Annotated[str, Field(min_length=2, max_length=3)] = "abc"
    parts: dict[str, list[Part]] = Field(default_factory=dict)
    sure: bool = True
    ratio: Annotated[float, Field(multiple_of=0.5)] = 0.5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be an object, not an array"),
        ({"count": 1.5}, "count: must be an integer, not a fraction"),
        ({"count": None}, "count: must be an integer, not null"),
        ({"count": 6}, "count: must be at most 5"),
        ({"count": 0}, "count: must be at least 1"),
        ({"title": 5}, "title: must be a string, not a number"),
        ({"title": "a"}, "title: must have a length of at least 2"),
        ({"title": "abcd"}, "title: must have a length of at most 3"),
        ({"sure": 1}, "sure: must be a boolean, not a number"),
        ({"parts": []}, "parts: must be an object, not an array"),
        ({"parts": {"x": {}}}, "parts.x: must be an array, not an object"),
        ({"parts": {"x": [5]}}, "parts.x.0: must be an object, not a number"),
        ({"parts": {"x": [{}]}}, "parts.x.0.kind: is missing"),
        ({"parts": {"x": [{"kind": "c"}]}}, "parts.x.0.kind: must be one of 'a' or 'b'"),
        ({"cuont": 1}, "cuont: is not a known field; did you mean count?"),
        ({"zzz": 1}, "zzz: is not a known field"),
        ({"ratio": 0.3}, "ratio: Input should be a multiple of 0.5"),
        ({"count": 0, "title": "a"}, "count: must be at least 1; title: must have a length of"),
    ],
)
def test_each_mistake_is_a_sentence_at_its_path(value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Order, value)
    assert str(caught.value).startswith(message)


def test_many_mistakes_are_cut_short() -> None:
    with pytest.raises(InputError) as caught:
        parse(Order, {f"x{n}": n for n in range(50)})
    assert str(caught.value).count("is not a known field") == 10


def test_a_fit_value_is_the_model() -> None:
    assert parse(Order, {"parts": {"x": [{"kind": "a"}]}}).parts["x"][0].kind == "a"
