"""The shipped policies in a Rego engine alone: no token, no session, no record.

The facts that they judge are made beforehand: what role constraints say of the arguments is a fact,
so no engine here looks at a regular expression.
"""

import json
from typing import Any

from scopebound_engine.config import SHIPPED
from scopebound_engine.rego.program import Program
from tests.bench.peers.question import Decide, Question

_ENTRYPOINT = "scopebound/decision"
_QUERY = "data.scopebound.decision"


def regopy_as_it_comes() -> Decide:
    """regopy by its public calls: input as text, the answer's text read back."""
    import regopy

    program = _program()
    interpreter = regopy.Interpreter()
    interpreter.add_data_json(json.dumps(program.data))
    for file, source in program.modules:
        interpreter.add_module(file, source)
    bundle = interpreter.build(_QUERY)

    def decide(question: Question) -> str | None:
        interpreter.set_input_term(json.dumps(question.facts, ensure_ascii=False))
        [answer] = interpreter.query_bundle(bundle).results
        return _code(answer.expressions[0])

    return decide


def regopy_as_evaluators_run_it() -> Decide:
    """regopy as Scopebound's evaluators run it: a shortened plan, exact input by tree calls."""
    from scopebound_engine.rego.engine import compile_program

    compiled = compile_program(_program())

    def decide(question: Question) -> str | None:
        outcome = compiled.evaluate(question.facts)
        return None if outcome.allow else str(outcome.violations[0]["code"])

    return decide


def regorus() -> Decide:
    """The second engine, written in Rust (https://github.com/microsoft/regorus)."""
    import regorus

    program, engine = _program(), regorus.Engine()
    for file, source in program.modules:
        engine.add_policy(file, source)
    engine.add_data_json(json.dumps(program.data))

    def decide(question: Question) -> str | None:
        engine.set_input_json(json.dumps(question.facts, ensure_ascii=False))
        return _code(json.loads(engine.eval_rule_as_json(_QUERY)))

    return decide


def _program() -> Program:
    folder = SHIPPED / "policies"
    config = json.loads((folder / "scopebound/config/data.json").read_bytes())
    modules = {
        str(file.relative_to(folder)): file.read_text()
        for file in sorted(folder.rglob("*.rego"))
        if not file.name.endswith("_test.rego")
    }
    return Program(tuple(modules.items()), {"scopebound": {"config": config}}, _ENTRYPOINT)


def _code(decision: dict[str, Any]) -> str | None:
    return None if decision["allow"] else str(decision["violations"][0]["code"])
