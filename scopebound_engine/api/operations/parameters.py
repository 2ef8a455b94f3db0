"""Parameters of operations as OpenAPI describes them."""

from typing import Any


def query(name: str, meaning: str, **schema: Any) -> dict[str, Any]:
    """A query parameter, which may be left out; `schema` is JSON Schema."""
    return {"name": name, "in": "query", "description": meaning, "schema": schema}
