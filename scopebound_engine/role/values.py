"""What a role's fields may hold: names, words, numbers, and what an argument has to satisfy.

Types are strict ("5" is not 5, true is not a number), and unknown fields are mistakes.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from scopebound_engine import masking
from scopebound_engine.addresses import web_address
from scopebound_engine.errors import InputError
from scopebound_engine.matching.patterns import compile_pattern
from scopebound_engine.role import schema
from scopebound_engine.strict_json import type_name

MIN_TTL_SECONDS: Final = 60
MAX_TTL_SECONDS: Final = 86_400
MAX_COUNT: Final = 1_000_000_000
MIN_SECRET_LENGTH: Final = 16  # the hint shows half of the shortest one

# The client and provision take names of this shape for ids.
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_NAME: Final = re.compile(r"[ -~]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_uuid(text: str) -> bool:
    """Whether a text has the shape of a UUID, in the spelling the client looks for."""
    return _UUID.fullmatch(text) is not None


def _without_controls(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _role_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 128 printable ASCII characters")
    if is_uuid(text):
        raise ValueError("must not look like a UUID, which would be taken for an id")
    return text


def _without_duplicates(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _each_day_once(days: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(days)) != len(days):
        raise ValueError("must not name a day twice")
    return days


def _web_address(url: str) -> str:
    if url:
        web_address(url)
    return url


def _long_enough(secret: str) -> str:
    if secret and len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters, or be empty")
    return secret


def _into_arguments(text: str) -> str:
    try:
        masking.pointer(_without_controls(text))
    except InputError as error:
        raise ValueError(error.detail) from error
    return text


# Arrays arrive as lists and are kept as tuples: strictness is given up for the container alone.
Array = Field(strict=False)
Name = Annotated[str, Field(json_schema_extra=schema.PRINTABLE_NAME), AfterValidator(_role_name)]
Word = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra=schema.WITHOUT_CONTROLS),
    AfterValidator(_without_controls),
]
Words = Annotated[
    tuple[Word, ...], Array, Field(max_length=512), AfterValidator(_without_duplicates)
]
Masked = Annotated[
    str,
    Field(max_length=256, json_schema_extra=schema.INTO_ARGUMENTS),
    AfterValidator(_into_arguments),
]
WebAddress = Annotated[
    str,
    Field(max_length=2_048, json_schema_extra=schema.WEB_ADDRESS),
    AfterValidator(_web_address),
]
Secret = Annotated[
    str,
    Field(max_length=512, repr=False, json_schema_extra=schema.LONG_ENOUGH),
    AfterValidator(_long_enough),
]
MaskedArguments = Annotated[
    tuple[Masked, ...], Array, Field(max_length=64), AfterValidator(_without_duplicates)
]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Seconds = Annotated[int, Field(ge=0, le=MAX_TTL_SECONDS)]
Hour = Annotated[int, Field(ge=0, le=23)]
Day = Annotated[int, Field(ge=0, le=6)]
Days = Annotated[
    tuple[Day, ...],
    Array,
    Field(json_schema_extra=schema.EACH_ONCE),
    AfterValidator(_each_day_once),
]
Reason = Annotated[
    str,
    Field(max_length=256, json_schema_extra=schema.WITHOUT_CONTROLS),
    AfterValidator(_without_controls),
]


class Values(BaseModel):
    """Fields of these types, and no others."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Constraint(Values):
    """What one argument of a tool has to satisfy; skipped when absent, unless it is required."""

    model_config = ConfigDict(json_schema_extra=schema.VALUE_FITS_OPERATOR)

    field: Word
    operator: Literal["eq", "lt", "gt", "contains", "regex", "in"]
    value: Any
    required: bool = False

    @field_validator("value")
    @classmethod
    def _fits_operator(cls, value: Any, info: ValidationInfo) -> Any:
        operator = info.data.get("operator")
        if operator in ("lt", "gt") and type(value) not in (int, float):
            raise ValueError(f"must be a number for {operator}, not {type_name(value)}")
        if operator in ("contains", "regex") and not (isinstance(value, str) and value):
            raise ValueError(f"must be a non-empty string for {operator}")
        if operator == "in" and not isinstance(value, list):
            raise ValueError(f"must be an array for in, not {type_name(value)}")
        if operator == "regex":
            _compilable(value)
        return value


def _compilable(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except InputError as error:
        raise ValueError(error.detail) from error


class DataScope(Values):
    """Environments a role may operate in (none: all) and rows a call may ask for (0: any)."""

    allowed_envs: Words = ()
    max_rows: Count = 0
