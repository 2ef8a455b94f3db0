"""The child's part of formatting: the engine parses what is formatted, and compares the programs.

For the sandbox only: it loads the Rego engine.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from scopebound_engine.author.formatting.text import difference, formatted
from scopebound_engine.errors import CompileError
from scopebound_engine.rego.compiler import compile_fast, parse
from scopebound_engine.rego.rewriting import Raw, walk
from scopebound_engine.rego.source.tokens import Source
from scopebound_engine.rego.testing.lowering import lower

# Statements by which the engine unifies two values, which may be built or taken apart.
_INCIDENTAL: Final = frozenset(
    f"{kind}Stmt"
    for kind in (
        *("ArrayAppend", "AssignInt", "AssignVar", "AssignVarOnce", "Block", "Equal", "IsArray"),
        *("IsDefined", "IsUndefined", "MakeArray", "NotEqual", "ResetLocal", "Scan"),
    )
)


def format_all(modules: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """For each module, by path, its text in OPA's style, or why there is none.

    `{"after": text}`, or `{"findings": [...]}` for one that does not parse, or `{"defect": why}`.
    """
    for path, text in modules.items():
        yield _answer(path, text)


def _answer(path: str, text: str) -> dict[str, Any]:
    findings = parse({path: text})
    if findings:
        return {"findings": [asdict(finding) for finding in findings]}
    try:
        after = formatted(text)
        defect = "" if after == text else difference(text, after) or _other(path, text, after)
    except RecursionError:
        defect = "its brackets are nested too deep"
    return {"defect": defect} if defect else {"after": after}


def _other(path: str, before: str, after: str) -> str:
    """Whether the engine compiles them to different programs, as a phrase."""
    if parse({path: after}):
        return "it would not parse"
    return "" if _program(path, before) == _program(path, after) else "it would be another program"


def _program(path: str, text: str) -> Counter[str]:
    """What a module alone compiles to: what each function does, or why it does not compile.

    The order in which the engine unifies values, and how, changes with the layout.
    """
    package = "/".join(Source(path, text).package)
    try:
        plan, _ = compile_fast(lower({path: text}).modules, [package], {})
    except CompileError as error:
        return Counter(finding.message for finding in error.findings)
    strings = [entry["value"] for entry in plan["static"]["strings"]]
    return Counter(
        f"{listing.function['name']} {statement['type']} {sorted(_constants(statement, strings))}"
        for listing in walk(plan)
        for statement in listing.statements
        if statement["type"] not in _INCIDENTAL
    )


def _constants(statement: Raw, strings: Sequence[str]) -> Iterator[str]:
    """The names, texts, numbers and truth values in a statement, and what they are there."""
    for name, value in statement["stmt"].items():
        for operand in value if isinstance(value, list) else [value]:
            if isinstance(operand, dict) and operand.get("type") in {"string_index", "bool"}:
                at = operand["value"]
                yield f"{name} {at if operand['type'] == 'bool' else strings[at]}"
            elif name in {"index", "path"} and isinstance(operand, int):
                yield f"{name} {strings[operand]}"
            elif isinstance(operand, str):
                yield f"{name} {operand}"
