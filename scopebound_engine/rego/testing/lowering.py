"""Makes `with` safe to run: the engine's process ends where it evaluates `with input as …`.

Each expression with an override becomes the call of a helper, which is appended to its file:

    decision.allow with input as call          __with_0_0(call)
                                               …
                                               __with_0_0(__with_p0) if {
                                                 decision.allow
                                               }

and in the compiled plan each call of the helper is wrapped in the IR's own `WithStmt`, which does
work (`overrides.py`). Overrides of functions and rules stay in the helper, where the engine handles
them; a negated expression gets a second helper, for its `not`. One that gives variables their
values becomes an array of all its solutions:

    shop.deny[code] with input as call         [code] = __with_0_0(call)[_]

Lines keep their numbers. What cannot be rewritten with the same meaning is a finding.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from scopebound_engine.errors import CompileError, Finding
from scopebound_engine.rego.source.bodies import Body, Literal, Override, declared
from scopebound_engine.rego.source.syntax import Module, parsed
from scopebound_engine.rego.statements import DATA, INPUT
from scopebound_engine.rego.testing.cases import is_test_file, told_apart
from scopebound_engine.rego.testing.edits import Edit, applied, sliced
from scopebound_engine.rego.testing.forms import mended
from scopebound_engine.rego.testing.helpers import PREFIX, Call
from scopebound_engine.rego.testing.keys import without_keys
from scopebound_engine.rego.testing.overrides import Target, wrap
from scopebound_engine.rego.testing.quotes import unquote
from scopebound_engine.rego.testing.scopes import RulePath, Scope, rule_paths

_STEP: Final = "tests"


@dataclass(frozen=True, slots=True)
class Lowered:
    """Modules without overrides of documents, by path; `helpers` brings those into their plan."""

    modules: Mapping[str, str]
    helpers: Mapping[str, tuple[Target, ...]]
    _lines: Mapping[tuple[str, int], int]
    _shipped: frozenset[RulePath]

    def complete(self, document: dict[str, Any]) -> None:
        """Changes the modules' compiled plan in place, so that tests mean in it what they say."""
        wrap(document, self.helpers)
        unquote(document, self._shipped)

    def line(self, path: str, line: int) -> int:
        """The author's number for a line of a lowered module."""
        return self._lines.get((path, line), line)

    def placed(self, findings: Iterable[Finding]) -> list[Finding]:
        """Findings of lowered modules on the author's lines."""
        return [
            replace(finding, line=self.line(finding.file, finding.line)) for finding in findings
        ]


def lower(modules: Mapping[str, str]) -> Lowered:
    """The modules, by path, with their overrides rewritten. Raises CompileError with findings."""
    simple, lines = without_keys(told_apart(modules))
    read = {
        path: parsed(path, mended(path, text) if is_test_file(path) else text)
        for path, text in simple.items()
    }
    rules = rule_paths(read)
    texts: dict[str, str] = {}
    helpers: dict[str, tuple[Target, ...]] = {}
    findings: list[Finding] = []
    for number, (path, module) in enumerate(read.items()):
        rewriter = _Rewriter(module, rules, f"{PREFIX}{number}_")
        texts[path] = rewriter.rewrite()
        helpers |= rewriter.targets
        lines |= {(path, line): original for line, original in rewriter.lines.items()}
        findings += rewriter.findings
    if findings:
        raise CompileError("`with` is used in a way that cannot be run", findings)
    shipped = rule_paths({path: read[path] for path in read if not is_test_file(path)})
    return Lowered(texts, helpers, lines, shipped)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An override that the engine handles: the path of a function or rule, and the value."""

    path: str
    value: range


@dataclass
class _Rewriter:
    """Rewrites one module. `rules` are the paths of all rules; the rest is what it makes."""

    module: Module
    rules: frozenset[RulePath]
    prefix: str
    targets: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _appended: list[str] = field(default_factory=list)
    _handled: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._source = self.module.source
        self._tokens = self._source.tokens
        self._next_line = self._source.text.count("\n") + 2

    def rewrite(self) -> str:
        """The text of the module with its helpers at the end."""
        scope = Scope(self.module, self.rules)
        edits = [edit for rule in self.module.rules for edit in self._edits(rule.bodies, scope)]
        for index, token in enumerate(self._tokens):
            if self.module.is_keyword(index, "with") and index not in self._handled:
                self._refuse(
                    index, "`with` stands where it cannot be run", "give it a line of its own"
                )
            if token.kind == "name" and token.text.startswith(PREFIX):
                self._refuse(index, f"names that begin with {PREFIX} are taken", "rename it")
        text = applied(self._source.text, edits)
        return "\n".join([text, *self._appended, ""]) if self._appended else text

    def _edits(self, bodies: Sequence[Body], scope: Scope) -> Iterator[Edit]:
        for body in bodies:
            for number, literal in enumerate(body.literals):
                here = scope.at(body, number)
                if literal.overrides:
                    yield self._lowered(literal, here)
                else:
                    yield from self._edits(literal.bodies, here.inside(literal))

    def _lowered(self, literal: Literal, scope: Scope) -> Edit:
        nested = list(self._edits(literal.bodies, scope.inside(literal)))
        self._handled.update(override.target.start - 1 for override in literal.overrides)
        documents: list[tuple[Target, Override]] = []
        kept: list[_Kept] = []
        for override in literal.overrides:
            target = self._target(override, scope)
            if isinstance(target, Target):
                documents.append((target, override))
            elif target is not None:
                kept.append(_Kept(target, override.value))
        free, found = self._variables(literal, kept, scope)
        name = f"{self.prefix}{len(self.targets)}"
        self.targets[name] = tuple(target for target, _ in documents)
        call = Call(name, literal, tuple(free), tuple(found), self._iterates(literal))
        self._append_helper(call, kept, nested)
        values = [(item.value, sliced(self._source, item.value, nested)) for _, item in documents]
        return self._edit(call, values)

    def _append_helper(self, call: Call, kept: Sequence[_Kept], nested: Sequence[Edit]) -> None:
        span = range(call.literal.term, call.literal.core_end)
        line, column = self._source.place(self._tokens[span.start].start)
        core = sliced(self._source, span, nested) + "".join(
            f" with {item.path} as {sliced(self._source, item.value, nested)}" for item in kept
        )
        for rule in call.definition(len(self.targets[call.name]), core, column):
            self._append(rule, line)

    def _append(self, helper: str, line: int) -> None:
        """Adds a helper, whose second line is the author's line of this number."""
        for index in range(helper.count("\n") + 1):
            self.lines[self._next_line + index] = line + max(index - 1, 0)
        self._next_line += helper.count("\n") + 1
        self._appended.append(helper)

    def _edit(self, call: Call, values: Sequence[tuple[range, str]]) -> Edit:
        """The literal's replacement: as many lines, and each value on the line it was on."""
        first, left, right = call.around(self.module)
        start, end = self._tokens[first].start, self._tokens[call.literal.end - 1].end
        line = self._source.place(start)[0] + left.count("\n")
        arguments: list[str] = []
        for span, text in values:
            target = self._source.place(self._tokens[span.start].start)[0]
            arguments.append("\n" * (target - line) + text)
            line = target + text.count("\n")
        ending = "\n" * (self._source.place(end - 1)[0] - line)
        given = ", ".join([*arguments, *call.free] or ["true"])
        return Edit(start, end, f"{left}({given}){right}{ending}")

    def _target(self, override: Override, scope: Scope) -> Target | str | None:
        """The document path that is overridden, or that of a function or rule, written out."""
        if not override.target or not override.value:
            self._refuse(override.target.start - 1, "`with` needs a target, `as` and a value", "")
            return None
        root = self._tokens[override.target.start].text
        fields = self._fields(range(override.target.start + 1, override.target.stop))
        if fields is None:
            self._refuse(override.target.start, "the target of `with` is computed", "write it out")
            return None
        path = scope.path(root, fields)
        if path[0] == "input":
            return Target(INPUT, path[1:])
        if len(path) == 1 and path[0] != "data":
            what = f"the engine does not replace {root}, as its name is a single word"
            self._refuse(override.target.start, what, "replace a rule or function that calls it")
            return None
        if path[0] != "data" or path[1:] in self.rules:
            # By the name of an import the engine would not find it.
            return ".".join(path)
        if self._touches_rules(path[1:]):
            what = f"`with` replaces part of what rules define at {'.'.join(path)}"
            self._refuse(override.target.start, what, "replace one whole rule, or a value of data")
        return Target(DATA, path[1:])

    def _fields(self, span: range) -> list[str] | None:
        """The steps after a path's root, `.name` or `["name"]`; None where one is neither."""
        found, words = [], [self._tokens[index] for index in span]
        while words:
            literal = words[1:2] and words[1].kind == "string" and "\\" not in words[1].text
            if words[0].text == "." and len(words) > 1 and words[1].kind == "name":
                found.append(words[1].text)
                words = words[2:]
            elif words[0].text == "[" and literal and words[2:3] and words[2].text == "]":
                found.append(words[1].text[1:-1])
                words = words[3:]
            else:
                return None
        return found

    def _touches_rules(self, path: tuple[str, ...]) -> bool:
        return any(rule[: len(path)] == path or path[: len(rule)] == rule for rule in self.rules)

    def _variables(
        self, literal: Literal, kept: Sequence[_Kept], scope: Scope
    ) -> tuple[list[str], list[str]]:
        """The variables of the rule that the helper needs, and those that it gives their values."""
        core = range(literal.term, literal.core_end)
        if not core:
            self._refuse(literal.start, "`with` needs an expression before it", "")
        inside = declared(literal.bodies)
        names = [
            name
            for span in (core, *(item.value for item in kept))
            for name in self.module.names(span)
        ]
        free, found = [], []
        for name in dict.fromkeys(names):
            if name in scope.bound:
                free.append(name)
            elif not (name in inside or scope.is_global(name)):
                found.append(name)
        if found and (literal.negated or self._is_some_in(literal)):
            what = f"{found[0]} has no value before `with` applies"
            remedy = "check its spelling, or bind it first: := or some … in"
            self._refuse(core.start, what, remedy)
        return free, found

    def _is_some_in(self, literal: Literal) -> bool:
        return literal.binds and self.module.is_keyword(literal.term - 1, "in")

    def _iterates(self, literal: Literal) -> bool:
        """Whether a bound value may be one of several because of a `_`."""
        hidden = {index for body in literal.bodies for index in range(body.start, body.end)}
        core = range(literal.term, literal.core_end)
        return literal.binds and any(
            self._tokens[index].text == "_" for index in core if index not in hidden
        )

    def _refuse(self, index: int, message: str, remedy: str) -> None:
        line, column = self._source.place(self._tokens[index].start)
        self.findings.append(Finding(_STEP, message, self._source.path, line, column, remedy))
