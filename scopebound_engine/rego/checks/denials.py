"""The violations that a policy can make, read off its plan: is each one declared and whole?

A violation is an object with at least two of its four fields. Where code or severity come in as
parameters of a helper, each call of the helper is followed, so that one helper may give all
violations their shape.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.values import Values, listed
from scopebound_engine.rego.plan import Plan
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.statements import Local, Operand, Place, Statement
from scopebound_engine.verdict import RETRY_GUIDANCE

_STEP: Final = "denials"
_FIELDS: Final = ("code", "severity", "reason", "retry_guidance")
_OPTIONAL: Final = "retry_after_seconds"


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation that a rule makes. The values are the literals that a field can be, if it can
    only be literals; `waits` says whether it has the field retry_after_seconds.
    """

    place: Place
    code: frozenset[str]
    severity: frozenset[str]
    retry_guidance: frozenset[str]
    waits: bool


def check(values: Values, entrypoint: str, codes: Mapping[str, str]) -> Iterator[Finding]:
    """All that is wrong with the violations; `codes` gives each declared code its severity."""
    found: set[str] = set()
    for place, fields, made in _literals(values, entrypoint):
        yield from _wrong_fields(place, fields)
        for violation in made:
            found |= violation.code
            yield from _wrong_values(violation, codes)
    yield from _strangers(values)
    for code in sorted(codes.keys() - found):
        message = f"{code} is declared, and no rule that {entrypoint} reaches denies with it"
        remedy = "write its rule in the package that is gathered, or take it out of the manifest"
        yield Finding(_STEP, message, "manifest.json", remedy=remedy)


def violations(values: Values, entrypoint: str) -> Iterator[Violation]:
    """All violations that the rules which the entrypoint reaches can make; without one, all do."""
    for _, _, made in _literals(values, entrypoint):
        yield from made


def _literals(
    values: Values, entrypoint: str
) -> Iterator[tuple[Place, Mapping[str, Operand], Iterator[Violation]]]:
    """Object literals that are meant to be a violation: place, fields, what they can be."""
    calls = _Calls(values, entrypoint)
    modules = {path: Module(source) for path, source in values.plan.sources.items()}
    for statement, fields in objects(values.plan):
        place = _written_at(statement, modules)
        made = calls.violations(statement, place, fields) if "code" in fields else iter(())
        yield place, fields, made


def objects(plan: Plan) -> Iterator[tuple[Statement, Mapping[str, Operand]]]:
    """Object literals that are meant to be a violation, with their fields."""
    inserts: dict[int, dict[str, Operand]] = {}
    for statement in plan.statements:
        if statement.kind.startswith("ObjectInsert"):
            key, value = statement.reads
            fields = inserts.setdefault(statement.fields["object"], {})
            fields[key if isinstance(key, str) else "?"] = value
    for statement in plan.statements:
        fields = inserts.get(statement.target or 0, {})
        if statement.kind == "MakeObject" and len(fields.keys() & {*_FIELDS}) > 1:
            yield statement, fields


def makers(plan: Plan) -> dict[int, str]:
    """The variables that hold such an object literal, each with the function that makes it."""
    return {made.target or 0: made.block.function for made, _ in objects(plan)}


def is_violation(values: Values, operand: Operand, made: Collection[int]) -> bool:
    """Whether an operand may be one of the object literals that these variables hold."""
    origins = values.origins(operand)
    return any(isinstance(origin, Local) and origin.number in made for origin in origins)


def _strangers(values: Values) -> Iterator[Finding]:
    """What is added to a set of violations and cannot be one."""
    made = makers(values.plan)
    for function in values.plan.functions.values():
        fills = values.plan.fills(function.result)
        if any(is_violation(values, fill.reads[0], made) for fill in fills):
            for fill in fills:
                kinds = values.kinds(fill.reads[0])
                if "object" not in kinds:
                    message = f"what is added to the violations here is {listed(kinds)}"
                    remedy = f"add an object with {', '.join(_FIELDS)}"
                    yield fill.place.finding(_STEP, message, remedy)


class _Calls:
    """Follows values that a helper takes as parameters to the rules that call it."""

    def __init__(self, values: Values, entrypoint: str) -> None:
        self._values, self._plan = values, values.plan
        start = "g0.data." + entrypoint.replace("/", ".")
        plan = values.plan
        self._reachable = plan.reachable(*([start] if entrypoint else plan.functions))

    def violations(
        self, statement: Statement, written_at: Place, fields: Mapping[str, Operand]
    ) -> Iterator[Violation]:
        """The violations that one object literal can be."""
        operands = [fields.get(name, True) for name in ("code", "severity", "retry_guidance")]
        chain = (statement.block.function,)
        for place, (code, severity, guidance) in self._bound(chain, written_at, operands):
            yield Violation(place, code, severity, guidance, _OPTIONAL in fields)

    def _bound(
        self, chain: tuple[str, ...], place: Place, operands: list[Operand]
    ) -> Iterator[tuple[Place, list[frozenset[str]]]]:
        """The literals that operands take in the function that ends the chain, by call."""
        function = chain[-1]
        if function not in self._reachable or function in chain[:-1]:
            return
        origins = [self._values.origin(operand) for operand in operands]
        params = self._plan.functions[function].params
        if not any(isinstance(origin, Local) and origin.number in params for origin in origins):
            yield place, [self._values.literals(origin) for origin in origins]
            return
        for call in self._plan.calls.get(function, ()):
            arguments = dict(zip(params, call.reads[2:], strict=False))
            passed = [
                arguments.get(origin.number, origin) if isinstance(origin, Local) else origin
                for origin in origins
            ]
            yield from self._bound((*chain, call.block.function), call.place, passed)


def _written_at(made: Statement, modules: Mapping[str, Module]) -> Place:
    """Where an object literal stands; the engine places one in a rule's head after its body."""
    if made.place.file not in modules:
        return made.place
    module = modules[made.place.file]
    source = module.source
    for head in module.heads:
        line, column = source.place(source.tokens[head.start].start)
        last, _ = source.place(source.tokens[head.end - 1].start)
        if line <= made.place.line <= last:
            body = module.find(range(head.start, head.end), "if") or head.end
            in_head = any(token.text == "{" for token in source.tokens[head.start : body])
            return Place(source.path, line, column) if in_head else made.place
    return made.place


def _wrong_fields(place: Place, fields: Mapping[str, Operand]) -> Iterator[Finding]:
    for name in _FIELDS:
        if name not in fields:
            remedy = f"add the field; a violation has {', '.join(_FIELDS)}"
            yield place.finding(_STEP, f"the violation has no {name}", remedy)
    for name in sorted(fields.keys() - {*_FIELDS, _OPTIONAL}):
        message = f"the violation has a field {name} that nobody reads"
        yield place.finding(_STEP, message, f"fields are {', '.join(_FIELDS)} and {_OPTIONAL}")


def _wrong_values(violation: Violation, codes: Mapping[str, str]) -> Iterator[Finding]:
    place, guidance = violation.place, violation.retry_guidance
    if len(violation.code) != 1:
        remedy = "write the code out, here or where this helper is called: one rule for each code"
        yield place.finding(_STEP, "the violation's code is not one literal", remedy)
    for code in violation.code:
        if code not in codes:
            remedy = "declare it there under deny_codes"
            yield place.finding(_STEP, f"the manifest does not declare {code}", remedy)
        elif violation.severity != {codes[code]}:
            shown = " or ".join(sorted(violation.severity)) or "not a literal"
            message = f"the severity of {code} is {shown} here and {codes[code]} in the manifest"
            yield place.finding(_STEP, message, "write the same in both")
    if not guidance or not guidance <= {*RETRY_GUIDANCE}:
        message = f"retry_guidance must be one of {', '.join(RETRY_GUIDANCE)}, as a literal"
        remedy = 'write "none" unless other arguments, a new session or time would help'
        yield place.finding(_STEP, message, remedy)
    elif guidance != {"wait"} if violation.waits else "wait" in guidance:
        message = f'retry_guidance "wait" and the field {_OPTIONAL} go together'
        remedy = f"add {_OPTIONAL}, in whole seconds, or another retry_guidance"
        yield place.finding(_STEP, message, remedy)
