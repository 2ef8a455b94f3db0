"""An evaluation gone through once more, along the marks that it left.

What was begun and what held the marks say; nothing is decided here. The values are found again on
the way: the documents are known, what built-ins made stands beside the marks. So each is known with
the place that it has in the input, which the engine itself does not keep.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.rewriting import Raw
from scopebound_engine.rego.tracing.code import (
    Code,
    Function,
    Listing,
    Statement,
    begun,
    held,
)
from scopebound_engine.rego.tracing.happenings import Happening, Passage, Run
from scopebound_engine.rego.tracing.trail import Trail, lost
from scopebound_engine.rego.tracing.values import NOTHING, Set, Value

_READ: Final = ("source", "a", "b")


def replay(
    code: Code, trail: Trail, entrypoint: str, facts: Mapping[str, Any], data: Mapping[str, Any]
) -> Run:
    """The evaluation of an entrypoint, `package/rule`. Raises EngineError if it cannot be followed.

    `facts` and `data` are the documents that it read.
    """
    follower = _Follower(code, trail)
    documents = (Value(facts, ("input",)), Value(data, ("data",)))
    run = follower.enter(code.functions["g0.data." + entrypoint.replace("/", ".")], documents)
    if run is None or not trail.is_over:
        raise lost()
    return run


class _Follower:
    """Where the evaluation is: its variables, of which the engine has one set for all functions."""

    def __init__(self, code: Code, trail: Trail) -> None:
        self._code, self._trail = code, trail
        self._values: dict[int, Value] = {}
        self._known: dict[str, Run] = {}
        self._overridden = 0
        self._returned: Value | None = None
        self._do: Mapping[str, Callable[[Statement, Happening], None]] = {
            "AssignVar": self._assign,
            "AssignVarOnce": self._assign,
            "AssignInt": self._make_int,
            "MakeNumberInt": self._make_int,
            "MakeNumberRef": self._make_number,
            "MakeNull": lambda item, _: self._set(item, Value(None)),
            "MakeArray": lambda item, _: self._set(item, Value([])),
            "MakeObject": lambda item, _: self._set(item, Value({})),
            "MakeSet": lambda item, _: self._set(item, Value(Set())),
            "ArrayAppend": self._append,
            "SetAdd": self._append,
            "ObjectInsert": self._insert,
            "ObjectInsertOnce": self._insert,
            "ResetLocal": self._reset,
            "ReturnLocal": self._return,
            "Block": self._block,
            "Not": self._block,
            "With": self._with,
            "Scan": self._scan,
            "Call": self._call,
            "Dot": self._dot,
            "Len": self._len,
            "ObjectMerge": lambda item, _: self._set(item, NOTHING),
            **dict.fromkeys(("Equal", "NotEqual", "IsDefined", "IsUndefined"), self._nothing),
            **dict.fromkeys(("IsArray", "IsObject", "IsSet"), self._nothing),
        }

    def enter(self, function: Function, arguments: Sequence[Value]) -> Run | None:
        """Follow a function, if it is what comes next."""
        if not self._trail.take(begun(function.number)):
            return None
        run = Run(function, arguments)
        self._values.update(zip(function.params, arguments, strict=True))
        self._returned = None
        for block in function.blocks:
            run.passages.append(self._follow(block))
        run.result, self._returned = self._returned, None
        if len(function.params) == 2 and not self._overridden:
            self._known[function.name] = run
        return run

    def _follow(self, listing: Listing) -> Passage:
        passage = Passage(listing)
        for statement in listing:
            if statement.kind not in self._do:
                raise EngineError(f"a statement {statement.kind} of the plan is not known here")
            happening = Happening(statement, self._reads(statement))
            passage.happenings.append(happening)
            self._do[statement.kind](statement, happening)
            if not statement.is_silent and statement.kind != "Call":
                happening.held = self._trail.take(held(statement.number))
            if not happening.held:
                break
        return passage

    def _reads(self, statement: Statement) -> Sequence[Value]:
        fields = statement.fields
        names = ("source", "key") if statement.kind == "Dot" else (*_READ, "value")
        found = [fields[name] for name in names if type(fields.get(name)) is dict]
        return [self._operand(raw) for raw in (*found, *fields.get("args", ()))]

    def _operand(self, raw: Raw) -> Value:
        kind, value = raw["type"], raw["value"]
        if kind == "local":
            return self._values.get(value, NOTHING)
        return Value(value if kind == "bool" else self._code.text(value))

    def _set(self, statement: Statement, value: Value) -> None:
        self._values[statement.fields["target"]] = value

    def _reset(self, statement: Statement, _: Happening) -> None:
        self._values.pop(statement.fields["target"], None)

    def _nothing(self, statement: Statement, happening: Happening) -> None:
        """Statements that only test."""

    def _assign(self, statement: Statement, happening: Happening) -> None:
        self._set(statement, happening.reads[0])

    def _make_int(self, statement: Statement, _: Happening) -> None:
        self._set(statement, Value(statement.fields["value"]))

    def _make_number(self, statement: Statement, _: Happening) -> None:
        self._set(statement, Value(self._code.figure(statement.fields["index"])))

    def _append(self, statement: Statement, happening: Happening) -> None:
        fields, new = statement.fields, happening.reads[0].content
        into = self._values.get(fields["array" if "array" in fields else "set"], NOTHING).content
        if isinstance(into, list) and not (isinstance(into, Set) and new in into):
            into.append(new)

    def _insert(self, statement: Statement, happening: Happening) -> None:
        key = self._operand(statement.fields["key"]).content
        into = self._values.get(statement.fields["object"], NOTHING).content
        if isinstance(into, dict) and isinstance(key, str):
            into[key] = happening.reads[0].content

    def _return(self, statement: Statement, _: Happening) -> None:
        self._returned = self._values.get(statement.fields["source"])

    def _block(self, statement: Statement, happening: Happening) -> None:
        happening.inside += [self._follow(listing) for listing in statement.blocks]

    def _with(self, statement: Statement, happening: Happening) -> None:
        number = statement.fields["local"]
        path = [self._code.text(index) for index in statement.fields["path"]]
        before = self._values.get(number, NOTHING)
        content = _changed(before.content, path, happening.reads[0].content)
        self._values[number] = Value(content)
        self._overridden += 1
        self._block(statement, happening)
        self._overridden -= 1
        self._values[number] = before

    def _scan(self, statement: Statement, happening: Happening) -> None:
        fields = statement.fields
        source = self._values.get(fields["source"], NOTHING)
        happening.reads = [source]
        while self._trail.take(begun(statement.number)):
            key = Value(self._trail.value())
            found = source.at(key) or NOTHING
            self._values[fields["key"]] = key
            self._values[fields["value"]] = Value(found.content, found.path, element=True)
            self._block(statement, happening)

    def _call(self, statement: Statement, happening: Happening) -> None:
        name = statement.fields["func"]
        function = self._code.functions.get(name)
        if function is None:
            happening.held = self._trail.take(held(statement.number))
            if happening.held:
                happening.result = self._made(name, happening.reads, self._trail.value())
        elif self._trail.take(begun(statement.number)):
            run = self.enter(function, happening.reads) or self._known.get(name)
            happening.run, happening.held = run, self._trail.take(held(statement.number))
            happening.result = (run and run.result) or NOTHING
        else:
            raise lost()
        if happening.held and happening.result is not None:
            self._values[statement.fields["result"]] = happening.result

    @staticmethod
    def _made(name: str, reads: Sequence[Value], content: Any) -> Value:
        """What a built-in made; what object.get found has a place where it was found."""
        if name == "object.get":
            found = reads[0].at(reads[1])
            if found is not None:
                return Value(content, found.path, name)
        return Value(content, None, name)

    def _dot(self, statement: Statement, happening: Happening) -> None:
        found = happening.reads[0].at(happening.reads[1]) or NOTHING
        happening.result = found
        self._set(statement, found)

    def _len(self, statement: Statement, _: Happening) -> None:
        content = self._values.get(statement.fields["source"]["value"], NOTHING).content
        known = isinstance(content, list | dict | str)
        self._set(statement, Value(len(content)) if known else NOTHING)


def _changed(content: Any, path: Sequence[str], value: Any) -> Any:
    """A document with another value at a path."""
    if not path:
        return value
    first, *rest = path
    inside = content if type(content) is dict else {}
    return {**inside, first: _changed(inside.get(first), rest, value)}
