"""From Rego modules to the compiled plan, and from a plan back to answers.

For child processes only, like `engine.py`. The plan is OPA's intermediate representation
(https://www.openpolicyagent.org/docs/ir) as the engine saves it; changed, it can be loaded again.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import regopy
from regopy.rego_shared import LogLevel

from scopebound_engine.errors import CompileError, EngineError, EvaluationError, Finding
from scopebound_engine.rego import native
from scopebound_engine.rego.binary.decoding import decode
from scopebound_engine.rego.binary.form import Frame
from scopebound_engine.rego.findings import build_findings, parse_findings
from scopebound_engine.rego.input import set_input, term
from scopebound_engine.rego.outcome import Outcome, error_message, read_outcome, read_value

_TRUE: Final = b'{"expressions":[true]}'


def parse(modules: Mapping[str, str]) -> list[Finding]:
    """What the engine's parser says against these modules, by path; several per run."""
    return list(_add(_interpreter(), modules))


def compile_plan(modules: Mapping[str, str], entrypoints: Sequence[str]) -> dict[str, Any]:
    """The document plan.json of these modules, by path; entrypoints are rules or packages.

    Its list of files names the modules by their paths. Raises CompileError with all that the engine
    says against them, which is not all that is wrong with them.
    """
    builder, bundle = _built(modules, entrypoints, {})
    return saved_plan(builder, bundle, list(modules))


def saved_plan(
    builder: regopy.Interpreter, bundle: regopy.Bundle, paths: Sequence[str]
) -> dict[str, Any]:
    """The document plan.json of a bundle whose modules were added as numbers, from 0; their paths.

    Raises OSError where there is no room for files.
    """
    with tempfile.TemporaryDirectory() as folder:
        builder.save_bundle(folder, bundle, regopy.BundleFormat.JSON)
        plan: dict[str, Any] = json.loads((Path(folder) / "plan.json").read_bytes())
    for file in plan["static"]["files"]:
        file["value"] = paths[int(file["value"])]
    return plan


def compile_fast(
    modules: Mapping[str, str], entrypoints: Sequence[str], data: Mapping[str, Any]
) -> tuple[dict[str, Any], Frame]:
    """The same document without places, and what it takes to load it again with its data.

    Of the built-ins it has only the names. Raises CompileError.
    """
    return fast_plan(*_built(modules, entrypoints, data))


def compile_placed(
    modules: Mapping[str, str], entrypoints: Sequence[str], data: Mapping[str, Any]
) -> tuple[dict[str, Any], Frame]:
    """The document with its places, as of `compile_plan`, and the frame that loads it again.

    The two forms that the engine saves of one build differ in nothing but places and built-ins:
    functions, statements, variables and strings come in the same order, and `Encoder` writes
    no places. That of JSON takes most of the time. Raises CompileError.
    """
    builder, bundle = _built(modules, entrypoints, data)
    _, frame = fast_plan(builder, bundle)
    return saved_plan(builder, bundle, list(modules)), frame


def fast_plan(builder: regopy.Interpreter, bundle: regopy.Bundle) -> tuple[dict[str, Any], Frame]:
    """As `compile_fast`, of a bundle that is built. Raises OSError where there is no room."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan"
        builder.save_bundle(str(file), bundle, regopy.BundleFormat.Binary)
        plan, frame = decode(file.read_bytes())
    static = plan["static"]
    # Some it only declares, like http.send, for tests to replace them.
    static["builtin_funcs"] = [
        called
        for called in static["builtin_funcs"]
        if builder.is_builtin(called["name"]) or frame.declares(called["name"])
    ]
    return plan, frame


class LoadedPlan:
    """A plan with its data, ready to be asked; without an input until it is given one.

    For one thread.
    """

    def __init__(self, plan: bytes) -> None:
        """Takes a binary plan. Raises EngineError where the engine refuses it."""
        # The bundle refers to what its interpreter owns.
        self._interpreter = self._loader = _interpreter()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "plan"
            file.write_bytes(plan)
            self._bundle = self._loader.load_bundle(str(file), regopy.BundleFormat.Binary)
        if self._bundle._impl is None or not self._bundle.ok():
            raise EngineError("the Rego engine does not load the plan it made")

    def set_input(self, value: Any) -> None:
        """The input of all queries from now on, a JSON value. Raises InputError; none is set then.

        Values are those of `input.set_input`.
        """
        try:
            set_input(self._interpreter._impl, value)
        except BaseException:
            # It holds the input before.
            self.forget()
            raise

    def forget(self) -> None:
        """Be without an input again, with a new interpreter."""
        self._interpreter = _interpreter()

    def holds(self, entrypoint: str) -> bool:
        """Whether an entrypoint is true. Raises EngineError where its evaluation fails."""
        with self._output(entrypoint) as output:
            root = native.output_node(output)
            if native.node_kind(root) in (native.ERROR, native.ERROR_SEQUENCE):
                raise EngineError(error_message(root))
            return native.output_text(output) == _TRUE

    def value(self, entrypoint: str) -> Any:
        """The JSON value of an entrypoint, a set as an array.

        Raises EvaluationError where it is undefined or its evaluation fails.
        """
        with self._output(entrypoint) as output:
            return read_value(output)

    def outcome(self, entrypoint: str) -> Outcome:
        """The decision of an entrypoint. Raises EngineError for all but an allow or a denial."""
        with self._output(entrypoint) as output:
            return read_outcome(output)

    @contextmanager
    def node(self, entrypoint: str) -> Iterator[int | None]:
        """The node of an entrypoint's value, until the block is left; None where it is undefined.

        Raises EngineError where its evaluation fails.
        """
        with self._output(entrypoint) as output:
            root = native.output_node(output)
            kind = native.node_kind(root)
            if kind in (native.ERROR, native.ERROR_SEQUENCE):
                raise EngineError(error_message(root))
            yield None if kind == native.UNDEFINED else root

    @contextmanager
    def _output(self, entrypoint: str) -> Iterator[int]:
        name = entrypoint.encode("utf-8")
        output = native.query(self._interpreter._impl, self._bundle._impl, name)
        if output is None:
            raise EvaluationError("the engine gave no result and no reason")
        try:
            yield output
        finally:
            native.free_output(output)


def _built(
    modules: Mapping[str, str], entrypoints: Sequence[str], data: Mapping[str, Any]
) -> tuple[regopy.Interpreter, regopy.Bundle]:
    builder = _interpreter()
    # Before the modules: after them, more of the builds that fail end the process.
    builder.add_data_json(term(dict(data)))
    findings = list(_add(builder, modules))
    if findings:
        raise CompileError("the policy does not compile", findings)
    bundle = builder.build(None, entrypoints)
    if bundle._impl is None:
        raise CompileError("the policy does not compile and the engine does not say why")
    if not bundle.ok():
        raise CompileError("the policy does not compile", build_findings(bundle._impl))
    return builder, bundle


def _add(builder: regopy.Interpreter, modules: Mapping[str, str]) -> Iterator[Finding]:
    """Hands over the modules. A plan keeps only the last part of a name, so the names are numbers:
    a path would lose its folders and, when the plan is saved, write files outside of its own.
    """
    for number, (path, source) in enumerate(modules.items()):
        try:
            builder.add_module(str(number), source)
        except regopy.RegoError as error:
            yield from parse_findings(path, source, str(error))


def _interpreter() -> regopy.Interpreter:
    interpreter = regopy.Interpreter()
    interpreter.log_level = LogLevel.NONE
    interpreter.strict_built_in_errors = True
    return interpreter
