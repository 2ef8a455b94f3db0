"""Checked values: a parsed JSON value becomes a pydantic model, or an InputError."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scopebound_engine.errors import InputError
from scopebound_engine.strict_json import type_name

M = TypeVar("M", bound=BaseModel)

_MOST_TOLD: Final = 10
# pydantic's error type -> a sentence about the field, without the value: it may be a secret.
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "string_type": "must be a string, not {actual}",
    "int_type": "must be an integer, not {actual}",
    "bool_type": "must be a boolean, not {actual}",
    "tuple_type": "must be an array, not {actual}",
    "list_type": "must be an array, not {actual}",
    "dict_type": "must be an object, not {actual}",
    "model_type": "must be an object, not {actual}",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must have a length of at least {min_length}",
    "string_too_long": "must have a length of at most {max_length}",
    "too_long": "must have at most {max_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",
}


def parse(model: type[M], value: Any) -> M:
    """A request's value as the model's type, or InputError with one sentence per mistake.

    The error's field is the first mistake's dotted path, for example
    `parameter_constraints.send_email.0.value`; its detail tells the others with their paths.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        (field, detail), *others = (_mistake(entry, model) for entry in found[:_MOST_TOLD])
        raise InputError(
            field, "; ".join([detail, *(f"{path}: {sentence}" for path, sentence in others)])
        ) from error


def _mistake(entry: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    path = [str(part) for part in entry["loc"] if part != "[key]"]
    return ".".join(path), _sentence(entry, path, model)


def _sentence(entry: ErrorDetails, path: list[str], model: type[BaseModel]) -> str:
    kind, value = entry["type"], entry["input"]
    if kind == "extra_forbidden":
        near = get_close_matches(path[0], model.model_fields, n=1) if len(path) == 1 else []
        return "is not a known field" + "".join(f"; did you mean {name}?" for name in near)
    if kind not in _SENTENCES:
        return entry["msg"]
    fraction = kind == "int_type" and isinstance(value, float)
    actual = "a fraction" if fraction else type_name(value)
    return _SENTENCES[kind].format(actual=actual, **entry.get("ctx", {}))
