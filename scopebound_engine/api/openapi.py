"""The description of the API as an OpenAPI 3.1 document, generated from the types that validate.

`operations.py` says what there is to describe; the format is that of
https://spec.openapis.org/oas/v3.1.1.html, whose schemas are JSON Schema 2020-12.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from scopebound_engine.api import problems
from scopebound_engine.api.auth import HEADER
from scopebound_engine.api.schemas.problems import Problem

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
_ROOT: Final = "#/components"
_REQUEST_ID: Final[Mapping[str, Any]] = {"X-Request-Id": {"$ref": f"{_ROOT}/headers/RequestId"}}
_PASSING: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_SUMMARY: Final = (
    "Before an agent calls a tool it asks `POST /v1/enforce`, and the answer comes from policy. "
    "Bodies, but for bundles, are strict JSON, whatever their Content-Type says: duplicate keys, "
    "NaN, NUL, lone surrogates and integers over 64 digits are refused, and so is what is over a "
    "configured limit."
)


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body: its type, and an example, a text where it is no JSON."""

    type: Any
    example: Mapping[str, Any] | str
    required: bool = True
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem; its type is None where it has no body or that is no JSON.

    `others` are media types that it has for whoever asks for them.
    """

    meaning: str
    type: Any = None
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A method at a path. `responder` answers it, and the responder's docstring is its summary.

    `problems` are the statuses of its problems; `parameters` and `links` are OpenAPI's objects.
    """

    id: str
    method: Literal["get", "post", "put", "delete"]
    path: str
    tag: str
    responder: Callable[..., None]
    answers: Mapping[HTTPStatus, Answer]
    problems: tuple[HTTPStatus, ...] = ()
    body: Body | None = None
    parameters: tuple[Mapping[str, Any], ...] = ()
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    public: bool = False
    note: str = ""


def document(operations: Iterable[Operation], tags: Mapping[str, str]) -> dict[str, Any]:
    """The OpenAPI document of these operations; `tags` names their groups and says what for."""
    listed = tuple(operations)
    references, components = _schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, references)
    statuses = sorted({status for operation in listed for status in operation.problems})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Scopebound Engine", "version": "1", "description": _SUMMARY},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": meaning} for name, meaning in tags.items()],
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(int(status)): _problem(status) for status in statuses},
            "headers": {"RequestId": _text_header("Names this request, in the log and problems.")},
            "securitySchemes": {"apiKey": {"type": "apiKey", "in": "header", "name": HEADER}},
        },
    }


def _schemas(operations: tuple[Operation, ...]) -> tuple[dict[int, Any], dict[str, Any]]:
    """What refers to each type, by the type's `id()`, and the schemas referred to."""
    sent = [operation.body.type for operation in operations if operation.body]
    answered = [answer.type for operation in operations for answer in operation.answers.values()]
    wanted: list[tuple[Any, JsonSchemaMode]] = [(kind, "validation") for kind in sent]
    wanted += [(kind, "serialization") for kind in (*answered, Problem) if kind is not None]
    references, definitions = TypeAdapter.json_schemas(
        [(id(kind), mode, TypeAdapter(kind)) for kind, mode in wanted],
        ref_template=_ROOT + "/schemas/{model}",
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return {key: schema for (key, _), schema in references.items()}, schemas


def _operation(operation: Operation, references: Mapping[int, Any]) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(operation.responder) or "").partition("\n")
    responses: dict[str, Any] = {
        str(int(status)): {"$ref": f"{_ROOT}/responses/{int(status)}"}
        for status in operation.problems
    }
    for status, answer in operation.answers.items():
        links = operation.links if status < HTTPStatus.BAD_REQUEST else {}
        responses[str(int(status))] = _answer(answer, references, links)
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": summary,
        "responses": dict(sorted(responses.items())),
    }
    if rest.strip() or operation.note:
        described["description"] = "\n\n".join(filter(None, (rest.strip(), operation.note)))
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.body:
        content = {"schema": references[id(operation.body.type)], "example": operation.body.example}
        described["requestBody"] = {
            "required": operation.body.required,
            "content": {operation.body.media_type: content},
        }
    return described | ({"security": []} if operation.public else {})


def _answer(answer: Answer, references: Mapping[int, Any], links: Mapping[str, Any]) -> Any:
    headers = {name: _text_header(meaning) for name, meaning in answer.headers.items()}
    described: dict[str, Any] = {
        "description": answer.meaning,
        "headers": {**_REQUEST_ID, **headers},
    }
    if answer.media_type:
        content: dict[str, Any] = {}
        if answer.type is not None:
            content["schema"] = references[id(answer.type)]
        if answer.examples:
            content["examples"] = {
                name: {"value": value} for name, value in answer.examples.items()
            }
        others: dict[str, Any] = {other: {} for other in answer.others}
        described["content"] = {answer.media_type: content, **others}
    return described | ({"links": links} if links else {})


def _problem(status: HTTPStatus) -> dict[str, Any]:
    kind = problems.kind_of(status)
    headers: dict[str, Any] = dict(_REQUEST_ID)
    if status in _PASSING:
        headers["Retry-After"] = _text_header("Seconds, where they are known.")
    return {
        "description": f"{kind.title}.",
        "headers": headers,
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": f"{_ROOT}/schemas/Problem"},
                "example": {
                    "type": f"{problems.URN}{kind.type}",
                    "title": kind.title,
                    "status": int(status),
                    "detail": "What happened, where, and what to do about it.",
                    "instance": "0b9f1f6c-54a8-4f3e-8d5e-0c8f4ce5a1d7",
                },
            }
        },
    }


def _text_header(meaning: str) -> dict[str, Any]:
    return {"description": meaning, "schema": {"type": "string"}}
