"""The published description, and whether values have its schemas."""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema

from scopebound_engine import strict_json
from scopebound_engine.api.openapi import document
from scopebound_engine.api.operations import OPERATIONS, TAGS

DOCUMENT: dict[str, Any] = json.loads(strict_json.dumps(document(OPERATIONS, TAGS)))
DESCRIBED = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
NAMES = [operation["operationId"] for _, _, operation in DESCRIBED]


def valid(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value has a schema of the document, formats included."""
    return _validator(schema).is_valid(value)


def assert_valid(schema: Mapping[str, Any], value: Any) -> None:
    _validator(schema).validate(value)


def _validator(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def schema_of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
