"""Denials that fall silent because something that they only show is not there.

A rule whose reason names an argument denies nothing where a call leaves that argument out: what is
undefined in the head of a rule makes the rule undefined.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.bodies import ANY_ELEMENT, Body, Plain, starts
from scopebound_engine.rego.checks.demands import Demands
from scopebound_engine.rego.checks.documents import written
from scopebound_engine.rego.statements import Local, Statement

_STEP: Final = "silences"
# What only some calls have. The rest of the input the engine always gives, or must be denied.
_ARGUMENTS: Final[Plain] = ("input", "call_args")
_SOMETIMES: Final[Sequence[Plain]] = (
    ("input", "constraints", ANY_ELEMENT, "actual"),
    ("input", "constraints", ANY_ELEMENT, "matched"),
    ("input", "session", "rate", "server"),
)


def silent_for_reasons(bodies: Demands) -> Iterator[Finding]:
    """The lookups that only a text needs, and the helpers for texts that may have no value."""
    for body in bodies.violations:
        yield from _Search(bodies, body).found(body)


def is_argument(path: Plain) -> bool:
    """Whether a path is one of an argument, which a call may leave out."""
    return starts(path, _ARGUMENTS) and len(path) > len(_ARGUMENTS)


def _may_be_absent(path: Plain) -> bool:
    return is_argument(path) or any(starts(path, other) for other in _SOMETIMES)


class _Search:
    """Looks for what silences one violation."""

    def __init__(self, bodies: Demands, violation: Body) -> None:
        self._bodies = bodies
        self._needs = bodies.needs(violation)
        self._seen: set[str] = set()

    def found(self, body: Body) -> Iterator[Finding]:
        """What silences it in this body, its own or that of a helper for a text."""
        for path, item in self._bodies.reads(body):
            if self._is_shown(item) and self._may_silence(path) and not self._leads_on(item):
                yield self._lookup(item)
        for call in body.statements:
            if call.callee in self._bodies.plan.functions and self._is_shown(call):
                yield from self._helper(call)

    def _is_shown(self, statement: Statement) -> bool:
        return self._bodies.shown_only(statement.target or 0, statement)

    def _is_handled(self, path: Plain) -> bool:
        """Whether the author asks for a path, or denies its absence in another rule."""
        asked = path if is_argument(path) else path[:-1]
        required = any(starts(need, asked) for need in self._needs)
        return required or path in self._bodies.denied.absent

    def _may_silence(self, path: Plain) -> bool:
        return _may_be_absent(path) and not self._is_handled(path)

    def _leads_on(self, item: Statement) -> bool:
        """Whether a lookup is a step of a longer one, which is told instead."""
        readers = self._bodies.readers(item.target or 0, item)
        return any(reader.kind == "Dot" for reader in readers)

    def _lookup(self, item: Statement) -> Finding:
        path = self._bodies.path(Local(item.target or 0), item)
        name = written(path)
        source, key = name.rsplit(".", 1) if name[-1] != "]" else (name[: name.rindex("[")], "…")
        message = f"without {name}, which is only shown here, this denies nothing"
        remedy = (
            f'write object.get({source}, "{key}", "nobody"), or show what a helper gives that '
            "ends with else or has a default"
        )
        return item.place.finding(_STEP, message, remedy)

    def _helper(self, call: Statement) -> Iterator[Finding]:
        """What leaves a helper without a value, and so the violation that shows it."""
        name = call.callee
        if name in self._seen or self._bodies.is_total(name):
            return
        self._seen.add(name)
        ends = self._bodies.of(name)
        sure = [body for body in ends if body.is_sure]
        if self._complements(name, ends):
            return
        if sure:
            yield from min(([*self.found(body)] for body in sure), key=len)
        elif len(ends) == 1:
            yield from self._single(call, ends[0])
        elif not self._bodies.plan.functions[name].params:
            yield self._partial(call)

    def _complements(self, name: str, ends: Sequence[Body]) -> bool:
        """Whether one of several definitions is for what another leaves out, as `not` tells."""
        result = self._bodies.plan.functions[name].result
        apart = [body for body in ends if body.end.target == result]
        return len(apart) > 1 and any(
            item.kind == "Not" for body in apart for item in body.statements
        )

    def _single(self, call: Statement, body: Body) -> Iterator[Finding]:
        """A helper of one body with conditions, that the violation does not make itself."""
        lacking = self._bodies.needs(body) - self._needs
        reads = self._bodies.reads(body)
        silent = [item for path, item in reads if self._may_silence(path)]
        if silent:
            name = written(self._bodies.path(Local(silent[-1].target or 0), silent[-1]))
            shown = self._bodies.plan.functions[call.callee].path[-1]
            message = f"without {name} {shown}, which is only shown, has no value: then"
            remedy = "let it end with else := …, or have a default"
            yield silent[-1].place.finding(_STEP, f"{message} nothing is denied", remedy)
        elif lacking:
            yield self._partial(call)

    def _partial(self, call: Statement) -> Finding:
        function = self._bodies.plan.functions[call.callee]
        name = function.path[-1]
        message = f"{name}, which a violation shows, may have no value: then nothing is denied"
        remedy = "let it end with else := …, or have a default"
        return replace(function.place.finding(_STEP, message, remedy), level="warning")
