"""Makes `with` safe to run: the engine's process ends where it evaluates `with input as …`.

Each expression with an override becomes the call of a helper, which is appended to its file:

    decision.allow with input as call          __with_0_0(call)
                                               …
                                               __with_0_0(__with_p0) if {
                                                 decision.allow
                                               }

and in the compiled plan each call of the helper is wrapped in the IR's own `WithStmt`, which does
work (`overrides.py`). Overrides of functions and rules stay in the helper, where the engine handles
them; a negated expression gets a second helper, for its `not`. Lines keep their numbers. What
cannot be rewritten with the same meaning is a finding.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from scopebound_engine.errors import CompileError, Finding
from scopebound_engine.rego.source.bodies import Body, Literal, Override, declared
from scopebound_engine.rego.source.syntax import Module, parsed
from scopebound_engine.rego.source.tokens import Source
from scopebound_engine.rego.statements import DATA, INPUT
from scopebound_engine.rego.testing.overrides import Target

_PREFIX: Final = "__with_"
_NOT: Final = "_not"
_STEP: Final = "tests"


@dataclass(frozen=True, slots=True)
class Lowered:
    """Modules without overrides of documents, by path; `helpers` brings those into their plan."""

    modules: Mapping[str, str]
    helpers: Mapping[str, tuple[Target, ...]]
    _lines: Mapping[tuple[str, int], int]

    def line(self, path: str, line: int) -> int:
        """The author's number for a line of a lowered module."""
        return self._lines.get((path, line), line)


def lower(modules: Mapping[str, str]) -> Lowered:
    """The modules, by path, with their overrides rewritten. Raises CompileError with findings."""
    read = {path: parsed(path, text) for path, text in modules.items()}
    rules = {
        (*module.source.package, rule.name) for module in read.values() for rule in module.rules
    }
    texts: dict[str, str] = {}
    helpers: dict[str, tuple[Target, ...]] = {}
    lines: dict[tuple[str, int], int] = {}
    findings: list[Finding] = []
    for number, (path, module) in enumerate(read.items()):
        rewriter = _Rewriter(module, rules, f"{_PREFIX}{number}_")
        texts[path] = rewriter.rewrite()
        helpers |= rewriter.targets
        lines |= {(path, line): original for line, original in rewriter.lines.items()}
        findings += rewriter.findings
    if findings:
        raise CompileError("`with` is used in a way that cannot be run", findings)
    return Lowered(texts, helpers, lines)


@dataclass(frozen=True, slots=True)
class _Scope:
    """The variables that a literal sees: those with a value, and those declared without one."""

    bound: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()

    def inside(self, body: Body) -> "_Scope":
        bound = self.bound.union(body.variables, *(item.declares for item in body.literals))
        return _Scope(bound, self.loose.union(*(item.loose for item in body.literals)))


@dataclass(frozen=True, slots=True)
class _Edit:
    """A replacement of the text from one offset to another."""

    start: int
    end: int
    text: str


@dataclass
class _Rewriter:
    """Rewrites one module. `rules` are the paths of all rules; the rest is what it makes."""

    module: Module
    rules: set[tuple[str, ...]]
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
        edits = [edit for rule in self.module.rules for edit in self._edits(rule.bodies, _Scope())]
        for index, token in enumerate(self._tokens):
            if self.module.is_keyword(index, "with") and index not in self._handled:
                self._refuse(
                    index, "`with` stands where it cannot be run", "give it a line of its own"
                )
            if token.kind == "name" and token.text.startswith(_PREFIX):
                self._refuse(index, f"names that begin with {_PREFIX} are taken", "rename it")
        text = _applied(self._source.text, 0, edits)
        return "\n".join([text, *self._appended, ""]) if self._appended else text

    def _edits(self, bodies: Sequence[Body], scope: _Scope) -> Iterator[_Edit]:
        for body in bodies:
            inner = scope.inside(body)
            for literal in body.literals:
                if literal.overrides:
                    yield self._lowered(literal, inner)
                else:
                    yield from self._edits(literal.bodies, inner)

    def _lowered(self, literal: Literal, scope: _Scope) -> _Edit:
        nested = list(self._edits(literal.bodies, scope))
        self._handled.update(override.target.start - 1 for override in literal.overrides)
        documents: list[tuple[Target, Override]] = []
        kept: list[Override] = []
        for override in literal.overrides:
            target = self._target(override)
            if target is None:
                kept.append(override)
            else:
                documents.append((target, override))
        free = self._free(literal, kept, scope)
        name = f"{self.prefix}{len(self.targets)}"
        self.targets[name] = tuple(target for target, _ in documents)
        self._append_helper(name, literal, kept, free, nested)
        values = [(item.value, _slice(self._source, item.value, nested)) for _, item in documents]
        return self._call(literal, f"{name}{_NOT}" if literal.negated else name, values, free)

    def _append_helper(
        self,
        name: str,
        literal: Literal,
        kept: Sequence[Override],
        free: Sequence[str],
        nested: Sequence[_Edit],
    ) -> None:
        span = range(literal.term, literal.core_end)
        line, column = self._source.place(self._tokens[span.start].start)
        core = _slice(self._source, span, nested) + "".join(
            f" with {self.module.text(item.target)} as {_slice(self._source, item.value, nested)}"
            for item in kept
        )
        params = [*(f"{_PREFIX}p{index}" for index in range(len(self.targets[name]))), *free]
        taken = ", ".join(params or [f"{_PREFIX}p"])
        # A bound value may be false; a tested one has to hold for some solution.
        head, assign = (" := __with_r", "__with_r :=") if literal.binds else ("", "")
        self._append(f"{name}({taken}){head} if {{{assign}\n{' ' * (column - 1)}{core}\n}}", line)
        if literal.negated:
            # Negated in a function of its own, an undefined value makes the whole expression
            # undefined; and inside of `every` the engine would not see variables after `not`.
            self._append(f"{name}{_NOT}({taken}) if {{\nnot {name}({taken})\n}}", line)

    def _append(self, helper: str, line: int) -> None:
        """Adds a helper, whose second line is the author's line of this number."""
        for index in range(helper.count("\n") + 1):
            self.lines[self._next_line + index] = line + max(index - 1, 0)
        self._next_line += helper.count("\n") + 1
        self._appended.append(helper)

    def _call(
        self, literal: Literal, name: str, values: Sequence[tuple[range, str]], free: Sequence[str]
    ) -> _Edit:
        """The literal's replacement: as many lines, and each value on the line it was on."""
        first = literal.start if literal.negated else literal.term
        start, end = self._tokens[first].start, self._tokens[literal.end - 1].end
        line = self._source.place(start)[0]
        arguments: list[str] = []
        for span, text in values:
            target = self._source.place(self._tokens[span.start].start)[0]
            arguments.append("\n" * (target - line) + text)
            line = target + text.count("\n")
        ending = "\n" * (self._source.place(end - 1)[0] - line)
        return _Edit(start, end, f"{name}({', '.join([*arguments, *free] or ['true'])}){ending}")

    def _target(self, override: Override) -> Target | None:
        """The document path that is overridden; None for a function or rule, which stays."""
        if not override.target or not override.value:
            self._refuse(override.target.start - 1, "`with` needs a target, `as` and a value", "")
            return None
        root = self._tokens[override.target.start].text
        fields = self._fields(range(override.target.start + 1, override.target.stop))
        if fields is None:
            self._refuse(override.target.start, "the target of `with` is computed", "write it out")
            return None
        path = (*self.module.imports.get(root, (root,)), *fields)
        if path[0] == "input":
            return Target(INPUT, path[1:])
        if path[0] != "data" or path[1:] in self.rules:
            return None
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

    def _free(self, literal: Literal, kept: Sequence[Override], scope: _Scope) -> list[str]:
        """The variables of the rule that the helper needs, in order."""
        core = range(literal.term, literal.core_end)
        if not core:
            self._refuse(literal.start, "`with` needs an expression before it", "")
        if literal.binds and self._iterates(literal, core):
            what = "an expression with `_` has several values; the engine takes one with `with`"
            self._refuse(core.start, what, "collect them: [x | some x in …]")
        inside = declared(literal.bodies)
        names = [
            name
            for span in (core, *(item.value for item in kept))
            for name in self.module.names(span)
        ]
        free = []
        for name in dict.fromkeys(names):
            if name in scope.bound - scope.loose:
                free.append(name)
            elif name in scope.loose or not (name in inside or self._is_global(name)):
                what = f"{name} has no value before `with` applies"
                self._refuse(
                    core.start, what, "check its spelling, or bind it first: := or some … in"
                )
        return free

    def _iterates(self, literal: Literal, core: range) -> bool:
        hidden = {index for body in literal.bodies for index in range(body.start, body.end)}
        return any(self._tokens[index].text == "_" for index in core if index not in hidden)

    def _is_global(self, name: str) -> bool:
        return name in self.module.imports or (*self._source.package, name) in self.rules

    def _refuse(self, index: int, message: str, remedy: str) -> None:
        line, column = self._source.place(self._tokens[index].start)
        self.findings.append(Finding(_STEP, message, self._source.path, line, column, remedy))


def _slice(source: Source, span: range, edits: Sequence[_Edit]) -> str:
    """The text of these tokens, with the edits that lie in it made."""
    if not span:
        return ""
    start, end = source.tokens[span[0]].start, source.tokens[span[-1]].end
    within = [edit for edit in edits if start <= edit.start and edit.end <= end]
    return _applied(source.text[start:end], start, within)


def _applied(text: str, offset: int, edits: Sequence[_Edit]) -> str:
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start - offset] + edit.text + text[edit.end - offset :]
    return text
