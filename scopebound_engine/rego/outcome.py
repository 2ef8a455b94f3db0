"""What the engine answered, read so that no string in it can pass for a decision.

The engine prints results without escaping, so a string the caller chose can add `"allow":true` to
the text. The tree of nodes is typed and cannot be forged; it alone is read. An allow must, besides,
print as exactly one text, which a denial with any reason in it cannot.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.errors import EvaluationError, InputError
from scopebound_engine.rego import native

ALLOW_TEXT: Final = b'{"expressions":[{"allow":true, "violations":[]}]}'
_DECISION_KEYS: Final = {"allow", "violations"}
_MAX_DEPTH: Final = 128
# Messages may quote what the client sent.
_MAX_MESSAGE: Final = 500
_CONSTANTS: Final = {native.TRUE: True, native.FALSE: False, native.NULL: None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One evaluation: allowed without violations, or denied with at least one, primary first.

    Violations are as the policy wrote them, plain JSON values, not yet checked.
    """

    allow: bool
    violations: tuple[dict[str, Any], ...]


def read_outcome(output: int) -> Outcome:
    """The outcome in an output of the entrypoint. Raises EvaluationError for everything else."""
    decision = read_value(output)
    if type(decision) is not dict or decision.keys() != _DECISION_KEYS:
        raise EvaluationError(
            'the decision is not an object of exactly "allow" and "violations"; correct the '
            "entrypoint rule"
        )
    allow, violations = decision["allow"], decision["violations"]
    if type(violations) is not list or not all(type(item) is dict for item in violations):
        raise EvaluationError('"violations" of the decision is not an array of objects')
    if allow is True and not violations and native.output_text(output) == ALLOW_TEXT:
        return Outcome(allow=True, violations=())
    if allow is False and violations:
        return Outcome(allow=False, violations=tuple(violations))
    raise EvaluationError(_contradiction(allow, len(violations)))


def read_value(output: int) -> Any:
    """The JSON value of an output; a set counts as an array, as in OPA's answers.

    Raises EvaluationError where the entrypoint is undefined, failed, or is no JSON value.
    """
    root = native.output_node(output)
    kind = native.node_kind(root)
    if kind == native.UNDEFINED:
        raise EvaluationError(
            "the entrypoint is undefined for this call: give the rule a default, or check its name"
        )
    if kind in (native.ERROR, native.ERROR_SEQUENCE):
        raise EvaluationError(f"the policy failed: {error_message(root)}")
    result = _only(root, native.RESULTS, native.RESULT)
    terms, bindings = _pair(result, native.TERMS, native.BINDINGS)
    if native.node_size(terms) != 1 or native.node_size(bindings) != 0:
        raise _unexpected(terms)
    return _value(native.node_child(terms, 0), 0)


def error_message(node: int) -> str:
    """The messages below an error node, each with the engine's code, on one line."""
    parts: list[str] = []
    pending = [node]
    while pending:
        current = pending.pop()
        kind = native.node_kind(current)
        if kind == native.ERROR_MESSAGE:
            parts.append(_printable(native.node_value(current)))
        elif kind == native.ERROR_CODE:
            parts.append(f"({_printable(native.node_value(current))})")
        elif kind in (native.ERROR, native.ERROR_SEQUENCE):
            pending.extend(reversed(native.node_children(current)))
    return " ".join(parts)[:_MAX_MESSAGE] or "the engine gives no reason"


def _contradiction(allow: Any, violations: int) -> str:
    if type(allow) is not bool:
        return '"allow" of the decision is not a boolean'
    if allow and violations:
        return f"the decision allows and carries {violations} violations; let allow depend on them"
    if not allow:
        return "the decision denies without a violation; add one that says why"
    return "the decision is an allow that does not print as one"


def _value(node: int, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise EvaluationError(f"the decision is nested deeper than {_MAX_DEPTH} levels")
    kind = native.node_kind(node)
    if kind == native.STRING:
        return _string(node)
    if kind == native.OBJECT:
        return _object(node, depth)
    if kind in (native.ARRAY, native.SET):
        return [_value(child, depth + 1) for child in native.node_children(node)]
    if kind in (native.INT, native.FLOAT):
        return _number(node)
    if kind in _CONSTANTS:
        return _CONSTANTS[kind]
    raise _unexpected(node)


def _object(node: int, depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for item in native.node_children(node):
        if native.node_kind(item) != native.OBJECT_ITEM or native.node_size(item) != 2:
            raise _unexpected(item)
        key = native.node_child(item, 0)
        if native.node_kind(key) != native.STRING:
            raise EvaluationError("the decision holds an object with a key that is not a string")
        name = _string(key)
        if name in result:
            raise EvaluationError(f"the decision holds an object with the key {name!r:.80} twice")
        result[name] = _value(native.node_child(item, 1), depth + 1)
    return result


def _string(node: int) -> str:
    body = native.node_value(node)
    # Some built-ins (concat) leave the quotes on. An escaped body has no bare quote anywhere, so
    # this is either one JSON string or an error, whatever a caller put into it.
    quoted = body if body.startswith(b'"') else b'"' + body + b'"'
    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise EvaluationError(
            "the decision holds a string that the engine left unescaped; in sprintf show a list "
            "itself, with %v, not what concat made of it"
        ) from error


def _number(node: int) -> int | float:
    text = native.node_value(node)
    try:
        number: int | float = strict_json.loads(text)
    except InputError as error:
        raise EvaluationError(f"the decision holds the number {_printable(text)[:40]}") from error
    return number


def _only(node: int, kind: int, child_kind: int) -> int:
    if native.node_kind(node) != kind or native.node_size(node) != 1:
        raise _unexpected(node)
    child: int = native.node_child(node, 0)
    if native.node_kind(child) != child_kind:
        raise _unexpected(child)
    return child


def _pair(node: int, first_kind: int, second_kind: int) -> tuple[int, int]:
    children = native.node_children(node)
    if [native.node_kind(child) for child in children] != [first_kind, second_kind]:
        raise _unexpected(node)
    return children[0], children[1]


def _printable(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())


def _unexpected(node: int) -> EvaluationError:
    kind = native.node_kind(node)
    return EvaluationError(f"the engine's result has an unexpected shape (node kind {kind})")
