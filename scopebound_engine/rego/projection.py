"""What of its input a compiled plan can tell apart: all else may be left out of the input.

    tree = read_of(document, plan)        {"action": True, "claims": {"exp": True, "env": {}}, …}
    lean = project(facts, tree)

A tree names the keys of an object that matter, each with the tree below it; True stands for
whatever is there. What is no object is always kept as it is, and what is an object stays one, so
that rules find the same types.

Why a verdict cannot differ. The engine knows the input by variables alone. Each variable that can
hold a part of it is followed, whatever the order of statements and whichever rule runs: from the
input on by literal keys, assignments, and the arguments and results of the policy's own functions.
Where such a variable is used in any other way than to look up a literal key, or to ask whether it
is defined, of which type, or a certain boolean, the whole of what it holds matters: so it is with
built-ins, comparisons, loops, computed keys, comprehensions and results, and with a rule that is
given its value in several places, for the engine compares those. Nothing is left out where a plan
replaces its input (`with input`), or calls a function that it computes or that nobody knows.
"""

import json
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from scopebound_engine.rego.literal_keys import LiteralKeys
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.statements import (
    INPUT,
    Function,
    Local,
    Operand,
    Statement,
    StatementReader,
)

# Keys of an object, each with the tree below it; True: everything.
Tree = dict[str, Any] | bool
_Path = tuple[str, ...]

WHOLE: Final[Tree] = True
_FIXED: Final = 2  # a function takes the input and the data first
# No value of a call is nested so deep: a rule that goes on reads all.
_DEEPEST: Final = 64
# They ask of which type a value is, and look no further into an object.
_TYPE_TESTS: Final = frozenset(
    {"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string"}
)
_HARMLESS: Final = frozenset(
    {"IsArray", "IsDefined", "IsObject", "IsSet", "IsUndefined", "ResetLocal", "ReturnLocal"}
)
_COMPARISONS: Final = frozenset({"Equal", "NotEqual"})
_ONCE: Final = "AssignVarOnce"
_ASSIGNMENTS: Final = frozenset({"AssignVar", _ONCE})
# Fields that name a variable by its number alone, and are no operands.
_CONTAINERS: Final = ("a", "array", "b", "object", "set")


def read_of(document: Mapping[str, Any], plan: Plan) -> Tree:
    """What the rules of a plan read of the input; `document` is the plan's, not changed since."""
    statements = [*plan.statements, *_of_entrypoints(document, plan)]
    regular = all(raw["params"][:1] == [INPUT] for raw in document["funcs"]["funcs"])
    known = plan.functions.keys() | plan.builtins.keys()
    if not regular or any(_hides_reads(statement, known) for statement in statements):
        return WHOLE
    tree: Tree = {}
    for path, is_whole in sorted(_Reads(plan, statements).found()):
        tree = _with(tree, path, is_whole)
    return tree


def project(document: Any, tree: Tree) -> Any:
    """The document without what the tree does not name. It is not changed, and parts are shared."""
    if type(tree) is not dict or type(document) is not dict:
        return document
    return {key: project(document[key], below) for key, below in tree.items() if key in document}


def _of_entrypoints(document: Mapping[str, Any], plan: Plan) -> Iterator[Statement]:
    """The statements that ask the entrypoints and hand over what they say."""
    reader = StatementReader(document["static"], plan.sources)
    for raw in document["plans"]["plans"]:
        own = {"path": [raw["name"]], "params": [], "return": INPUT}
        yield from reader.function({**raw, **own}).statements


def _hides_reads(statement: Statement, known: Set[str]) -> bool:
    """Whether after a statement the input may be another one, or it is not known who reads it."""
    if statement.kind == "With":
        return bool(statement.fields["local"] == INPUT)
    if statement.kind == "Call" and statement.callee not in known:
        return True
    return statement.kind == "CallDynamic" or INPUT in Plan.written_by(statement)


class _Reads:
    """Which paths of the input each variable can hold, and of which variables all matters."""

    def __init__(self, plan: Plan, statements: list[Statement]) -> None:
        self._plan, self._keys = plan, LiteralKeys(plan)
        # Where variables pass on what they hold: to which, and by which key, if any.
        self._flows: dict[int, list[tuple[int, str | None]]] = {}
        self._used: set[int] = set()
        self._held: dict[int, set[_Path]] = {INPUT: {()}}
        for statement in statements:
            self._follow(statement)
        self._spread()

    def found(self) -> Iterator[tuple[_Path, bool]]:
        """Each path that a variable can hold, and whether all below it matters."""
        for number, paths in self._held.items():
            for path in paths:
                yield path, number in self._used or len(path) > _DEEPEST

    def _follow(self, statement: Statement) -> None:
        kind, reads, target = statement.kind, statement.reads, statement.target
        if kind in _HARMLESS:
            return
        if kind == "Call":
            self._call(statement)
        elif kind in _ASSIGNMENTS and target is not None:
            self._flow(reads[0], target)
            if kind == _ONCE and len(self._writers(target)) != 1:
                self._use(reads[0])
        elif kind == "Dot" and target is not None and (keys := self._keys.of(reads[1])):
            for key in keys:
                self._flow(reads[0], target, _text(key))
        elif kind not in _COMPARISONS or not any(isinstance(one, bool) for one in reads):
            self._use(*reads)
            named = (statement.fields.get(name) for name in _CONTAINERS)
            self._used.update(number for number in named if type(number) is int)

    def _writers(self, number: int) -> list[Statement]:
        writers = self._plan.writers.get(number, ())
        return [writer for writer in writers if writer.kind != "ResetLocal"]

    def _call(self, call: Statement) -> None:
        function = self._plan.functions.get(call.callee)
        if function is None:
            if call.callee not in _TYPE_TESTS:
                self._use(*call.reads)
        elif call.reads[0] == Local(INPUT) and len(call.reads) == _FIXED + len(function.params):
            self._pass(call, function)
        else:
            self._use(*call.reads, Local(INPUT))

    def _pass(self, call: Statement, function: Function) -> None:
        for operand, param in zip(call.reads[_FIXED:], function.params, strict=True):
            self._flow(operand, param)
        if call.target is not None:
            self._flow(Local(function.result), call.target)

    def _flow(self, source: Operand, target: int, key: str | None = None) -> None:
        if isinstance(source, Local):
            self._flows.setdefault(source.number, []).append((target, key))

    def _use(self, *operands: Operand) -> None:
        self._used.update(one.number for one in operands if isinstance(one, Local))

    def _spread(self) -> None:
        waiting: list[tuple[int, _Path]] = [(INPUT, ())]
        while waiting:
            number, path = waiting.pop()
            for target, key in self._flows.get(number, ()):
                new = path if key is None else (*path, key)
                held = self._held.setdefault(target, set())
                if new not in held and len(path) <= _DEEPEST:
                    held.add(new)
                    waiting.append((target, new))


def _with(tree: Tree, path: _Path, is_whole: bool) -> Tree:
    """The tree and a path."""
    if type(tree) is not dict:
        return tree
    if not path:
        return WHOLE if is_whole else tree
    tree[path[0]] = _with(tree.get(path[0], {}), path[1:], is_whole)
    return tree


def _text(escaped: str) -> str:
    """A key as JSON has it; the plan keeps strings escaped."""
    return str(json.loads(f'"{escaped}"'))
