"""What a policy reads of the two documents, the input and the data, and is not in them.

Such a path is undefined for ever, and a deny rule that reads one is silent.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.plan import Element, Path, Plan
from scopebound_engine.rego.statements import Local, Operand, Statement

INPUT_SCHEMA: Final[Mapping[str, Any]] = json.loads(
    resources.files("scopebound_engine.rego").joinpath("input.schema.json").read_text("utf-8")
)
_STEP: Final = "plan"
_ANY: Final[Mapping[str, Any]] = {}
_GET_TAKES: Final = 3


def unknown_input(plan: Plan) -> Iterator[Finding]:
    """Input paths that the published schema does not know."""
    for statement, path in document_reads(plan, "input"):
        if input_schema(path) is None and input_schema(_parent(path)) is not None:
            remedy = "see input.schema.json for what there is"
            yield statement.place.finding(_STEP, f"there is no {written(path)}", remedy)


def unknown_data(plan: Plan, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Data paths that neither data.json nor a package holds."""
    known = set(_prefixes(plan))
    for statement, path in document_reads(plan, "data"):
        if _data_known(path, data, known) or not _data_known(_parent(path), data, known):
            continue
        remedy = "check the name; rules and values of data.json go by their full path"
        yield statement.place.finding(_STEP, f"there is no {written(path)}", remedy)


def overlaps(plan: Plan, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Data where a rule is, which would replace the rule; a rule where a package is."""
    packages = [source.package for source in plan.sources.values()]
    for function in plan.functions.values():
        name = ".".join(function.path)
        if _held(data, function.path) or _blocked(data, function.path):
            message = f"data.json holds a value at data.{name}, which would replace this rule"
            yield function.place.finding(_STEP, message, "move the value to another path")
        if any(package[: len(function.path)] == function.path for package in packages):
            message = f"data.{name} is a rule and a package; every query would fail"
            yield function.place.finding(_STEP, message, "rename one of them")


def written(path: Path) -> str:
    """A path as an author writes it."""
    root, steps = path
    text = "".join(f".{step}" if isinstance(step, str) else "[_]" for step in steps)
    return f"{root if isinstance(root, str) else '…'}{text}"


def input_schema(path: Path) -> Mapping[str, Any] | None:
    """The schema of an input path, {} where anything may be, None where nothing can be."""
    schema: Mapping[str, Any] | None = INPUT_SCHEMA
    for step in path[1]:
        schema = _below(schema, step) if schema is not None else None
    return schema and _resolved(schema)


def values_at(data: Any, path: Path) -> Sequence[Any]:
    """All that a document holds at a path; several where a step is an element."""
    values: Sequence[Any] = [data]
    for step in path[1]:
        values = [below for value in values for below in _children(value, step)]
    return values


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    return INPUT_SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]  # type: ignore[no-any-return]


def _below(schema: Mapping[str, Any], step: object) -> Mapping[str, Any] | None:
    schema = _resolved(schema)
    if "type" not in schema:
        return _ANY
    if schema["type"] == "array":
        # A literal string is no index of an array; a number is an element like any other.
        indexed = not isinstance(step, str)
        return schema.get("items", _ANY) if indexed else None
    if schema["type"] != "object":
        return None
    properties = schema.get("properties", {})
    if isinstance(step, str) and step in properties:
        return properties[step]  # type: ignore[no-any-return]
    if not isinstance(step, str) and properties:
        return _ANY
    rest = schema.get("additionalProperties", True)
    return rest if isinstance(rest, Mapping) else (_ANY if rest else None)


def document_reads(plan: Plan, root: str) -> Iterator[tuple[Statement, Path]]:
    """Each step into the input or the data, once for each line it stands on."""
    seen: set[tuple[str, int, Path]] = set()
    for statement in plan.statements:
        for path in _paths_read(plan, statement):
            key = (statement.place.file, statement.place.line, path)
            if path[0] == root and key not in seen:
                seen.add(key)
                yield statement, path


def _paths_read(plan: Plan, statement: Statement) -> Iterator[Path]:
    if statement.kind == "Dot" and statement.target is not None:
        yield plan.path(statement.target)
    if statement.callee == "object.get" and len(statement.reads) == _GET_TAKES:
        source, key, _ = statement.reads
        root, steps = plan.path(source.number) if isinstance(source, Local) else ("", ())
        # A default is how a bundle has settings that may be left out; the input has none such.
        for step in steps_of_get(plan, key) if root == "input" else ():
            steps = (*steps, step)
            yield root, steps


def steps_of_get(plan: Plan, key: Operand) -> Iterator[str | Element]:
    """The steps that object.get takes: one, or those of an array."""
    step = plan.step(key)
    fills = plan.fills(step.number) if isinstance(step, Element) else ()
    yield from (plan.step(fill.reads[0]) for fill in fills) if fills else (step,)


def _parent(path: Path) -> Path:
    return path[0], path[1][:-1]


def _prefixes(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The paths of all packages and rules, and of what lies above them."""
    paths = [function.path for function in plan.functions.values()]
    paths += [source.package for source in plan.sources.values()]
    for path in paths:
        for length in range(len(path) + 1):
            yield path[:length]


def _data_known(path: Path, data: Any, prefixes: set[tuple[str, ...]]) -> bool:
    return path[1] in prefixes or bool(values_at(data, path))


def _children(value: Any, step: object) -> Sequence[Any]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    return (
        list(value.values())
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )


def _held(data: Any, path: Sequence[str]) -> bool:
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return False
        data = data[step]
    return True


def _blocked(data: Any, path: Sequence[str]) -> bool:
    """Whether a value that is no object stands on the way to a path."""
    for step in path:
        if not isinstance(data, dict):
            return True
        if step not in data:
            return False
        data = data[step]
    return False
