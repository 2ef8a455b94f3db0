"""Names of rules that do not go together. The engine takes them, or fails without a place."""

from collections.abc import Iterator, Sequence
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.source.syntax import Head, Module
from scopebound_engine.rego.source.tokens import Source

_STEP: Final = "parse"
_DOCUMENTS: Final = frozenset({"input", "data"})
_FUNCTION: Final = "a function of "
_MIXED_UP: Final = "the engine mixes up functions of one name in two packages"


def misfits(modules: Sequence[Module]) -> Iterator[Finding]:
    """All of this module."""
    for module in modules:
        yield from named_like_imports(module)
        yield from hidden_documents(module)
    yield from mixed_kinds(modules)
    yield from two_values(modules)
    yield from uneven_functions(modules)


def named_like_imports(module: Module) -> Iterator[Finding]:
    """Rules with the name of an import."""
    for head in module.heads:
        if head.name in module.imports:
            message = f"{head.name} is imported here and is a rule"
            yield _at(module.source, head.start, message, "import it by another name: as …")


def hidden_documents(module: Module) -> Iterator[Finding]:
    """Rules and variables that are called input or data."""
    tokens = module.source.tokens
    heads = {head.start + head.is_default for head in module.heads}
    for index, token in enumerate(tokens):
        if token.text not in _DOCUMENTS or not module.is_keyword(index, *_DOCUMENTS):
            continue
        assigned = index + 1 < len(tokens) and tokens[index + 1].text == ":="
        declared = index > 0 and module.is_keyword(index - 1, "some", "every")
        if assigned or declared or index in heads:
            message = f"{token.text} is given a value of its own, and hides the document"
            yield _at(module.source, index, message, "choose another name")


def mixed_kinds(modules: Sequence[Module]) -> Iterator[Finding]:
    """Rules of one package and name of which one is a set, say, and the other a function."""
    first: dict[tuple[str, ...], tuple[str, str]] = {}
    for module in modules:
        source = module.source
        for head in module.heads:
            kind = _kind(module, head)
            line, _ = source.place(source.tokens[head.start].start)
            known, place = first.setdefault(
                (*source.package, head.name), (kind, f"{source.path}:{line}")
            )
            if kind and known and kind != known:
                message = f"{head.name} is {kind} here and {known} in {place}"
                yield _at(source, head.start, message, "rename one of them")


def two_values(modules: Sequence[Module]) -> Iterator[Finding]:
    """Rules that have one value always, and another always too: no query would have an answer."""
    first: dict[tuple[str, ...], str] = {}
    for module in modules:
        for head in module.heads:
            span = range(head.start, head.end)
            if head.is_default or _kind(module, head) != "a value" or module.find(span, "if"):
                continue
            text = module.text(span)
            known = first.setdefault((*module.source.package, head.name), text)
            if known != text:
                message = f"{head.name} has another value already: {known[:80]}"
                yield _at(module.source, head.start, message, "keep one of them, or add if …")


def uneven_functions(modules: Sequence[Module]) -> Iterator[Finding]:
    """Functions of one name in several packages: the engine takes one for the other.

    Where they do not take as many arguments its process ends when it compiles them.
    """
    first: dict[str, tuple[tuple[str, ...], str, str]] = {}
    for module in modules:
        source = module.source
        for head in module.heads:
            kind = _kind(module, head)
            if not kind.startswith(_FUNCTION):
                continue
            line, _ = source.place(source.tokens[head.start].start)
            package, known, place = first.setdefault(
                head.name, (source.package, kind, f"{source.path}:{line}")
            )
            if package != source.package and kind != known:
                message = f"{head.name} is {kind} here and {known} in {place}"
                yield _at(source, head.start, message, f"{_MIXED_UP}; rename one of them")


def _kind(module: Module, head: Head) -> str:
    """What a rule is by its head; empty for one whose name is a path."""
    tokens, name = module.source.tokens, head.start + head.is_default
    following = tokens[name + 1].text if name + 1 < head.end else ""
    if following == "(":
        close = module.source.closing.get(name + 1, name + 1)
        parameters = list(module.split(range(name + 2, close), ","))
        return f"{_FUNCTION}{len(parameters)}"
    kinds = {"contains": "a set", "[": "an object", ".": ""}
    return kinds.get(following, "a value")


def _at(source: Source, index: int, message: str, remedy: str) -> Finding:
    line, column = source.place(source.tokens[index].start)
    return Finding(_STEP, message, source.path, line, column, remedy)
