"""Explains evaluations, in a child process: a job for the sandbox."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego import native
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_fast, compile_placed
from scopebound_engine.rego.program import Program
from scopebound_engine.rego.rewriting import Variables
from scopebound_engine.rego.tracing.code import Code, mark
from scopebound_engine.rego.tracing.happenings import Run
from scopebound_engine.rego.tracing.places import Places
from scopebound_engine.rego.tracing.replay import replay
from scopebound_engine.rego.tracing.rules import DenyRules, Rules
from scopebound_engine.rego.tracing.told import Told
from scopebound_engine.rego.tracing.trail import Trail
from scopebound_engine.rego.tracing.values import UNKNOWN, read

_WAY: Final = (native.RESULTS, native.RESULT, native.TERMS, native.ARRAY)


def explain_all(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    entrypoint: str,
    documents: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """What is told of each document, `told.Told`, in order. Raises CompileError, EngineError."""
    tracer = Tracer(Program(tuple(modules.items()), data, entrypoint))
    for document in documents:
        yield asdict(tracer.explain(document))


def value(
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    entrypoint: str,
    document: Mapping[str, Any],
) -> Any:
    """The JSON value of any rule for a document. Raises CompileError, EngineError."""
    plan, frame = compile_fast(modules, [entrypoint], data)
    name = "g0.data." + entrypoint.replace("/", ".")
    functions = [function["name"] for function in plan["funcs"]["funcs"]]
    if name not in functions:
        raise EvaluationError(f"there is no rule {entrypoint.replace('/', '.')}")
    loaded = LoadedPlan(Encoder(plan, frame).encode([entrypoint], functions))
    loaded.set_input(document)
    return loaded.value(entrypoint)


class Tracer:
    """A policy whose evaluations leave marks. Raises CompileError."""

    def __init__(self, program: Program) -> None:
        self._program = program
        modules = dict(program.modules)
        document, frame = compile_placed(modules, [program.entrypoint], program.data)
        deny = DenyRules(document, program)
        self._code = Code(document)
        self._rules = Rules(deny, Places(self._code.files, modules))
        variables = Variables(frame.locals)
        mark(document, self._code, variables)
        encoder = Encoder(document, replace(frame, locals=variables.count))
        self._plan = LoadedPlan(encoder.encode([program.entrypoint], [*self._code.functions]))

    def explain(self, facts: Mapping[str, Any]) -> Told:
        """What the deny rules did for these facts as input. Raises EngineError, InputError."""
        run, decision = self.follow(facts)
        return self._rules.tell(run, _denials(decision))

    def follow(self, facts: Mapping[str, Any]) -> tuple[Run, Any]:
        """The evaluation of the entrypoint, and its value as it was read. Raises as `explain`."""
        self._plan.set_input(facts)
        with self._plan.node(self._program.entrypoint) as node:
            value, marks = _answer(node)
            trail = Trail(marks)
            run = replay(self._code, trail, self._program.entrypoint, facts, self._program.data)
            return run, read(value)


def _answer(node: int | None) -> tuple[int, int]:
    """The nodes of the decision and of the marks."""
    for kind in _WAY:
        if node is None or native.node_kind(node) != kind or native.node_size(node) == 0:
            break
        if kind == native.ARRAY:
            decision, marks = native.node_children(node)
            return decision, marks
        node = native.node_child(node, 0)
    raise EvaluationError("the entrypoint is undefined for this call")


def _denials(decision: Any) -> list[Any]:
    if decision is UNKNOWN or type(decision) is not dict:
        raise EvaluationError("the decision is no JSON object")
    denials = decision.get("violations")
    return denials if type(denials) is list else []
