"""A facts document that somebody wrote, held to the published schema.

`rego/input.schema.json` says what a policy sees of a call. What does not fit is told with its JSON
pointer (RFC 6901) and with what the schema expects there. Of JSON Schema, what that one uses.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.errors import Finding, FindingsError
from scopebound_engine.rego.checks.documents import INPUT_SCHEMA

# The service's own largest, see config.py, with the facts around it.
_LIMITS: Final = {"depth": 64, "values": 200_000}
_TOLD: Final = 20
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
Schema = Mapping[str, Any]


def read(data: bytes, name: str) -> dict[str, Any]:
    """The facts in a file. Raises InputError for what is no JSON, FindingsError for other facts."""
    document = strict_json.loads(data, **_LIMITS)
    found = [
        Finding("input", f"{pointer or 'the document'} {what}", remedy=expected)
        for pointer, what, expected in islice(_misfits(document, INPUT_SCHEMA, ""), _TOLD)
    ]
    if found:
        raise FindingsError(f"{name} is no facts document", found)
    facts: dict[str, Any] = document
    return facts


def fits(document: Any) -> bool:
    """Whether a document is one of facts."""
    return next(_misfits(document, INPUT_SCHEMA, ""), None) is None


def _misfits(value: Any, schema: Schema, pointer: str) -> Iterator[tuple[str, str, str]]:
    """Pointers, each with what is wrong there and what is expected."""
    schema = _resolved(schema)
    allowed = _allowed(schema)
    if allowed and not any(type(value) in _TYPES[name] for name in allowed):
        yield pointer, f"is {strict_json.type_name(value)}", _expected(schema, " or ".join(allowed))
    elif "enum" in schema and value not in schema["enum"]:
        choices = ", ".join(map(str, schema["enum"]))
        shown = strict_json.quote(str(value)[:64])
        yield pointer, f"is {shown}", _expected(schema, f"one of {choices}")
    elif not _in_bounds(value, schema):
        bounds = f"from {schema.get('minimum', '-∞')} to {schema.get('maximum', '∞')}"
        yield pointer, f"is {value}", _expected(schema, bounds)
    elif isinstance(value, dict):
        yield from _members(value, schema, pointer)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _misfits(item, schema["items"], f"{pointer}/{index}")


def _members(value: dict[str, Any], schema: Schema, pointer: str) -> Iterator[tuple[str, str, str]]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            below = _resolved(known.get(name, {}))
            expected = _expected(below, " or ".join(_allowed(below)) or "a value")
            yield f"{pointer}/{_escaped(name)}", "is missing", expected
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        here = f"{pointer}/{_escaped(name)}"
        if name in known:
            yield from _misfits(item, known[name], here)
        elif others is False:
            yield here, "is not known", f"known here: {', '.join(sorted(known))}"
        elif isinstance(others, Mapping):
            yield from _misfits(item, others, here)


def _allowed(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _resolved(schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found = INPUT_SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _in_bounds(value: Any, schema: Schema) -> bool:
    if type(value) not in (int, float):
        return True
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _expected(schema: Schema, what: str) -> str:
    told = schema.get("description")
    return f"expected: {what}" + (f". {told}" if told else "")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
