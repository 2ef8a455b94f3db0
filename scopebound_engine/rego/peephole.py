"""Leaves out of a compiled plan what cannot change its answer, and costs most of its time.

The compiler ends every condition with «is it not false?», which takes the engine a microsecond; of
a rule that is true or undefined the answer is known. And whether a value is an array, object or set
is a statement of its own that needs no call.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.rego import rewriting
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.rewriting import Raw
from scopebound_engine.rego.statements import Local, Statement

_KINDS: Final = {"is_array": "IsArrayStmt", "is_object": "IsObjectStmt", "is_set": "IsSetStmt"}


def shorten(document: Mapping[str, Any], plan: Plan) -> None:
    """Rewrites a document in place; `plan` is that of the document as it was compiled."""
    true = _true(plan)
    for listing in rewriting.walk(document):
        kept = [item for item in listing.statements if not _is_idle(item, true)]
        listing.statements[:] = _without_calls(kept, plan)


def _true(plan: Plan) -> set[int]:
    """The variables that are never anything but true or undefined."""
    writers = {
        number: [item for item in found if item.kind != "ResetLocal"]
        for number, found in plan.writers.items()
    }
    params = {number for function in plan.functions.values() for number in function.params}
    true = {number for number, found in writers.items() if found} - params
    while wrong := {n for n in true if not all(_gives(one, true, plan) for one in writers[n])}:
        true -= wrong
    return true


def _gives(writer: Statement, true: set[int], plan: Plan) -> bool:
    """Whether a statement gives nothing but true, if these variables have nothing else."""
    if writer.kind in {"AssignVar", "AssignVarOnce"}:
        source = writer.reads[0]
        return source is True or (isinstance(source, Local) and source.number in true)
    function = plan.functions.get(writer.callee)
    return function is not None and function.result in true


def _is_idle(statement: Raw, true: set[int]) -> bool:
    """Whether a statement compares with false what can only be true."""
    fields = statement["stmt"]
    return (
        statement["type"] == "NotEqualStmt"
        and fields["a"]["type"] == "local"
        and fields["a"]["value"] in true
        and fields["b"] == rewriting.boolean(False)
    )


def _without_calls(statements: Sequence[Raw], plan: Plan) -> Iterator[Raw]:
    """The statements, those that only ask for a kind of value without a call."""
    waiting = list(reversed(statements))
    while waiting:
        statement = waiting.pop()
        fields = statement["stmt"]
        kind = _KINDS.get(fields["func"]) if statement["type"] == "CallStmt" else None
        if kind and waiting and _asks_only(fields["result"], waiting[-1], plan):
            waiting.pop()
            statement = {"type": kind, "stmt": {"source": fields["args"][0]}}
        yield statement


def _asks_only(result: int, following: Raw, plan: Plan) -> bool:
    """Whether a result serves nothing but the next statement, to see that it is not false."""
    return (
        following["type"] == "NotEqualStmt"
        and following["stmt"]["a"] == rewriting.local(result)
        and following["stmt"]["b"] == rewriting.boolean(False)
        and len(plan.readers.get(result, ())) == 1
    )
