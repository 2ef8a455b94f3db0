"""What can be wrong with a Rego file before it is compiled, much of it unnoticed by the engine."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.source.bodies import literals
from scopebound_engine.rego.source.syntax import Module, Rule
from scopebound_engine.rego.source.tokens import OPENING, Source, Token

_SOURCE: Final = "source"
_PARSE: Final = "parse"
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
# JSON's other escapes (\" \\ \n \r \t) are written by everybody alike.
_AMBIGUOUS: Final = frozenset("u/bf")
# Far more than anybody writes; the checks, and some passes of the engine, work by recursion.
_DEEPEST: Final = 50
_UNCLOSED: Final = {
    '"': ("a string is not closed on its line", 'end it with ", or write `…` for several lines'),
    "`": ("a raw string is not closed", "end it with `"),
}
# What may stand before a brace that is not a body.
_BEFORE_TERM: Final = frozenset(
    (
        *(":=", "=", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "|", "&", ",", ":"),
        *("contains", "in", "not"),
    )
)


def unsafe_text(source: Source) -> Iterator[Finding]:
    """Characters and escapes that the engine reads otherwise than OPA."""
    text = source.text
    if text.startswith("\ufeff"):
        yield _at(_SOURCE, source, 0, "begins with a byte order mark", "save it as plain UTF-8")
    for match in re.finditer("\0", text):
        remedy = "the engine ignores what follows"
        yield _at(_SOURCE, source, match.start(), "contains a NUL character", remedy)
    for match in re.finditer("\r(?!\n)", text):
        yield _at(_SOURCE, source, match.start(), "a line ends with CR alone", "end it with LF")
    last = source.tokens[-1].end if source.tokens else 0
    if "#" in text[last:] and not text.endswith("\n"):
        what = "the file ends inside of a comment, which the engine reads as code"
        yield _at(_SOURCE, source, text.index("#", last), what, "end the last line")
    yield from _too_deep(source)
    for token in source.tokens:
        for match in _ESCAPE.finditer(token.text) if token.kind == "string" else ():
            if match[1] in _AMBIGUOUS:
                what = f"the escape {match[0]} in a string never equals the character it means"
                yield _at(_SOURCE, source, token.start + match.start(), what, "write the character")


def _too_deep(source: Source) -> Iterator[Finding]:
    ends: list[int] = []
    for opening, close in sorted(source.closing.items()):
        while ends and ends[-1] < opening:
            ends.pop()
        ends.append(close)
        if len(ends) > _DEEPEST:
            what = f"brackets inside of more than {_DEEPEST} others"
            remedy = "give inner parts a rule or a helper of their own"
            yield _at(_SOURCE, source, source.tokens[opening].start, what, remedy)
            return


def malformed(modules: Iterable[Module]) -> Iterator[Finding]:
    """What makes no Rego of a file, the first of each: the parser says less well where that is."""
    for module in modules:
        yield from islice(chain(_unclosed(module.source), _unpaired(module.source)), 1)


def _unclosed(source: Source) -> Iterator[Finding]:
    for token in source.tokens:
        if token.kind == "stray":
            unknown = (f"{token.text!r} has no place in Rego", "take it out")
            yield _at(_PARSE, source, token.start, *_UNCLOSED.get(token.text, unknown))


def _unpaired(source: Source) -> Iterator[Finding]:
    waiting: list[Token] = []
    for token in source.tokens:
        if token.kind != "punctuation":
            continue
        if token.text in OPENING:
            waiting.append(token)
        elif token.text in OPENING.values():
            opening = waiting.pop() if waiting else None
            if opening is None:
                remedy = "take it out, or open it above"
                yield _at(_PARSE, source, token.start, f"{token.text} closes nothing", remedy)
            elif OPENING[opening.text] != token.text:
                line, column = source.place(opening.start)
                what = f"{token.text} cannot close the {opening.text} of {line}:{column}"
                yield _at(_PARSE, source, token.start, what, f"write {OPENING[opening.text]} first")
    for opening in reversed(waiting):
        remedy = f"write {OPENING[opening.text]} where it ends"
        yield _at(_PARSE, source, opening.start, f"{opening.text} is never closed", remedy)


def misread(modules: Sequence[Module]) -> Iterator[Finding]:
    """Syntax that the engine accepts, and reads otherwise than the author meant it."""
    names: dict[tuple[str, ...], set[str]] = {}
    for module in modules:
        names.setdefault(module.source.package, set()).update(rule.name for rule in module.rules)
    for module in modules:
        yield from _headless(module)
        yield from _useless_imports(module)
        yield from _old_bodies(module)
        yield from _empty_bodies(module)
        yield from _shadowing(module, names[module.source.package])
    yield from _double_defaults(modules)


def overrides(modules: Iterable[Module]) -> Iterator[Finding]:
    """`with` in rules: it is for tests, and can end the engine's process when it is compiled."""
    for module in modules:
        for index, token in enumerate(module.source.tokens):
            if module.is_keyword(index, "with"):
                remedy = "keep `with` in files named *_test.rego"
                yield _at(_PARSE, module.source, token.start, "`with` in a rule", remedy)


def _headless(module: Module) -> Iterator[Finding]:
    first = module.statements[0] if module.statements else range(0)
    if len(first) != 2 * len(module.source.package) or not module.source.package:
        remedy = "begin with: package a.b.c"
        yield _at(_PARSE, module.source, 0, "the file does not begin with a package", remedy)


def _useless_imports(module: Module) -> Iterator[Finding]:
    source = module.source
    for span in module.statements:
        words = [source.tokens[index].text for index in span]
        if words[0] != "import" or words[1:2] in (["rego"], ["future"]):
            continue
        if words[1:2] not in (["data"], ["input"]) or words[2:3] != ["."]:
            what = "only paths below data and input can be imported, and rego.v1"
            remedy = "write the name of a package below data, or take the line out"
            yield _at(_PARSE, source, source.tokens[span.start].start, what, remedy)


def _old_bodies(module: Module) -> Iterator[Finding]:
    """Bodies without `if`, which OPA 1.0 refuses and the engine takes."""
    source = module.source
    for rule in module.rules:
        index, has_if = rule.start, False
        while index < rule.end:
            has_if = module.is_keyword(index, "if") or (
                has_if and not module.is_keyword(index, "else")
            )
            before = source.tokens[index - 1].text
            if source.tokens[index].text == "{" and not has_if and before not in _BEFORE_TERM:
                what = "a rule's body without `if`"
                yield _at(_PARSE, source, source.tokens[index].start, what, "write `if` before it")
            index = source.closing.get(index, index) + 1


def _empty_bodies(module: Module) -> Iterator[Finding]:
    """`if {}`, which OPA refuses and the engine takes for an object, which is true."""
    source = module.source
    for rule in module.rules:
        for index in range(rule.start, rule.end - 2):
            if module.is_keyword(index, "if") and source.closing.get(index + 1) == index + 2:
                start = source.tokens[index + 1].start
                remedy = "write a condition between the brackets"
                yield _at(_PARSE, source, start, "an empty body, which is always true", remedy)


def _shadowing(module: Module, rules: set[str]) -> Iterator[Finding]:
    """Variables that the engine takes for the rule of their name."""
    source = module.source
    for rule in module.rules:
        for literal in literals(rule.bodies):
            is_pattern = not literal.negated and literal.term - literal.start > 2
            assigned = source.tokens[literal.term - 1].text == ":="
            names = literal.loose | (literal.declares if is_pattern and assigned else frozenset())
            for name in sorted(names & rules):
                start = source.tokens[literal.start].start
                what = f"the variable {name} has the name of a rule, and is taken for it"
                yield _at(_PARSE, source, start, what, "rename the variable")


def _double_defaults(modules: Iterable[Module]) -> Iterator[Finding]:
    seen: set[tuple[str, ...]] = set()
    for module in modules:
        for rule in module.rules:
            path = (*module.source.package, rule.name)
            if rule.is_default and path in seen:
                what = f"{'.'.join(path)} has a default already"
                yield _at(_PARSE, module.source, _start(module, rule), what, "keep one of them")
            seen.update([path] if rule.is_default else [])


def _start(module: Module, rule: Rule) -> int:
    return module.source.tokens[rule.start].start


def _at(step: str, source: Source, offset: int, message: str, remedy: str) -> Finding:
    line, column = source.place(offset)
    return Finding(step, message, source.path, line, column, remedy)
