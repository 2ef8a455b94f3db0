"""Compile once, evaluate many: the Rego engine behind two calls that fail loudly.

For child processes only. A policy or an input can make the engine loop, crash or eat memory, and
nothing in the same process can stop it; `pool/` and `sandbox.py` hold it where it can be
killed.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import regopy
from regopy.rego_shared import LogLevel

from scopebound_engine.errors import CompileError, EvaluationError, Finding, InputError
from scopebound_engine.rego.compiler import LoadedPlan, fast_plan, saved_plan
from scopebound_engine.rego.findings import build_findings, parse_findings
from scopebound_engine.rego.input import term
from scopebound_engine.rego.lean import lean
from scopebound_engine.rego.outcome import Outcome
from scopebound_engine.rego.program import Program

__all__ = ["Compiled", "Outcome", "Program", "compile_program"]

_ENTRYPOINT: Final = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)+", re.ASCII)


class Compiled:
    """A program ready to be asked. For one thread."""

    def __init__(
        self, builder: regopy.Interpreter, bundle: regopy.Bundle, program: Program
    ) -> None:
        self._builder, self._bundle, self._program = builder, bundle, program
        self._lean = lean(*fast_plan(builder, bundle), dict(program.modules), [program.entrypoint])
        self._plan = LoadedPlan(self._lean.plan)

    def evaluate(self, facts: Mapping[str, Any]) -> Outcome:
        """The outcome for these facts as input.

        Raises EvaluationError for anything but an allow or a denial.
        """
        try:
            self._plan.set_input(self._lean.input(facts))
            return self._plan.outcome(self._program.entrypoint)
        except InputError as error:
            raise EvaluationError(f"the input cannot be given to the engine: {error}") from error
        except BaseException:
            # The interpreter may be in the middle of something.
            self._plan.forget()
            raise

    def origins(self) -> dict[str, list[str]]:
        """Which rules deny with a code: `file:line`, by code. Raises OSError, see `saved_plan`."""
        # What it takes is only loaded by the process that tells them.
        from scopebound_engine.rego.origins import origins

        paths = [path for path, _ in self._program.modules]
        return origins(saved_plan(self._builder, self._bundle, paths), self._program)


def compile_program(program: Program) -> Compiled:
    """Raises CompileError with everything that is wrong.

    May also crash or never return: the engine's compiler is no safer than its evaluator.
    """
    builder = _interpreter()
    findings = _unfit(program) or _add(builder, program)
    if findings:
        raise CompileError("the policy does not compile", findings)
    bundle = builder.build(None, [program.entrypoint])
    if bundle._impl is None:
        raise CompileError("the policy does not compile and the engine does not say why")
    # The build raises nothing, and to query a bundle that failed is a segmentation fault.
    if not bundle.ok():
        raise CompileError("the policy does not compile", build_findings(bundle._impl))
    return Compiled(builder, bundle, program)


def _interpreter() -> regopy.Interpreter:
    interpreter = regopy.Interpreter()
    interpreter.log_level = LogLevel.NONE
    # Without it a built-in that fails is undefined, and the deny rule that calls it is silent.
    interpreter.strict_built_in_errors = True
    return interpreter


def _unfit(program: Program) -> list[Finding]:
    """What the engine would misread without a word, or crash on."""
    findings = []
    if not _ENTRYPOINT.fullmatch(program.entrypoint):
        findings.append(
            Finding("compile", f"{program.entrypoint!r} is not an entrypoint like package/rule")
        )
    seen: set[str] = set()
    for file, source in program.modules:
        if file in seen:
            findings.append(Finding("parse", "two modules have this path", file))
        seen.add(file)
        if "\0" in file + source:
            findings.append(Finding("parse", "contains NUL; the engine ignores what follows", file))
        if not _is_utf8(file + source):
            findings.append(Finding("parse", "contains a lone surrogate", file))
    return findings


def _add(builder: regopy.Interpreter, program: Program) -> list[Finding]:
    """Hands over data and modules; the findings of all of them."""
    findings = []
    try:
        builder.add_data_json(term(dict(program.data)))
    except (InputError, regopy.RegoError) as error:
        findings.append(Finding("compile", f"the data cannot be loaded: {error}", "data.json"))
    # Numbers in place of paths, see `compiler`.
    for number, (file, source) in enumerate(program.modules):
        try:
            builder.add_module(str(number), source)
        except regopy.RegoError as error:
            findings.extend(parse_findings(file, source, str(error)))
    return findings


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
