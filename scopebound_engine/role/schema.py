"""What JSON Schema can say of a role's fields beyond their types: the validators' rules, published.

Nothing is checked here. `not` with a pattern stands where an anchored pattern could, because `$`
means different things to different readers.
"""

from typing import Any, Final

from pydantic.config import JsonDict

WITHOUT_CONTROLS: Final[JsonDict] = {"not": {"pattern": "[\\x00-\\x1f\\x7f-\\x9f]"}}
PRINTABLE_NAME: Final[JsonDict] = {"not": {"pattern": "[^ -~]"}, "minLength": 1, "maxLength": 128}
INTO_ARGUMENTS: Final[JsonDict] = {
    "pattern": "^/call_args(/|$)",
    "not": {"pattern": "[\\x00-\\x1f\\x7f-\\x9f]|~(?![01])"},
}
EACH_ONCE: Final[JsonDict] = {"uniqueItems": True}
WEB_ADDRESS: Final[JsonDict] = {
    "anyOf": [{"const": ""}, {"pattern": "^https?://", "format": "uri"}],
    "not": {"pattern": "[^!-~]|^https?://[^/?#]*@"},
}
LONG_ENOUGH: Final[JsonDict] = {"anyOf": [{"const": ""}, {"minLength": 16}]}


def _value(kind: str, *operators: str, **more: Any) -> JsonDict:
    return {
        "if": {"properties": {"operator": {"enum": list(operators)}}},
        "then": {"properties": {"value": {"type": kind, **more}}},
    }


VALUE_FITS_OPERATOR: Final[JsonDict] = {
    "allOf": [
        _value("number", "lt", "gt"),
        _value("string", "contains", "regex", minLength=1),
        _value("array", "in"),
    ]
}


def with_other_spellings(schema: JsonDict, scope: dict[str, Any]) -> None:
    """Add the published client's spellings: `default_ttl`, and the fields of data_scope, flat."""
    fields: dict[str, Any] = _fields(schema)
    others = {"default_ttl": fields["default_ttl_seconds"], **scope}
    schema["properties"] = fields | {
        name: {**of, "deprecated": True} for name, of in others.items()
    }


def without_defaults(schema: JsonDict) -> None:
    """For a schema whose absent fields mean no change."""
    schema["properties"] = {
        name: {key: value for key, value in of.items() if key != "default"}
        for name, of in _fields(schema).items()
    }


def _fields(schema: JsonDict) -> dict[str, Any]:
    fields: Any = schema["properties"]
    return dict(fields)
