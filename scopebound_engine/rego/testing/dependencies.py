"""Which modules others need, so that tests can be compiled without all other tests."""

from collections.abc import Collection, Iterator, Mapping

from scopebound_engine.rego.source.syntax import Module, parsed
from scopebound_engine.rego.source.tokens import Source


def needed(modules: Mapping[str, str], optional: Collection[str]) -> dict[str, str]:
    """The modules without those optional ones that no other refers to, directly or in turn."""
    read = {path: parsed(path, text) for path, text in modules.items()}
    chosen = {path for path in modules if path not in optional}
    waiting = list(chosen)
    for path in waiting:
        new = [other for other in modules if other not in chosen and _uses(read[path], read[other])]
        chosen.update(new)
        waiting += new
    return {path: text for path, text in modules.items() if path in chosen}


def _uses(module: Module, other: Module) -> bool:
    """Whether a module may refer to a rule of another: by a path below `data`, or by its name.

    Who names a path above a package has the whole package in its value.
    """
    package = other.source.package
    if module.source.package == package:
        # Where a name is defined it is not used: two files may have tests of one name.
        heads = {head.start for head in module.heads}
        names = {
            token.text for index, token in enumerate(module.source.tokens) if index not in heads
        }
        return not names.isdisjoint(head.name for head in other.heads)
    return any(package[: len(path)] == path[: len(package)] for path in _mentioned(module))


def _mentioned(module: Module) -> set[tuple[str, ...]]:
    """The paths below `data` that a module names, those by an import's name spelled out."""
    tokens, found = module.source.tokens, set()
    roots = {name: path for name, path in module.imports.items() if path[0] == "data"}
    clauses = {index for span in module.statements if _is_import(module, span) for index in span}
    for index, token in enumerate(tokens):
        root = ("data",) if token.text == "data" else roots.get(token.text)
        after_dot = index > 0 and tokens[index - 1].text == "."
        if root is not None and token.kind == "name" and not after_dot and index not in clauses:
            found.add((*root[1:], *_fields(module.source, index + 1)))
    return found


def _is_import(module: Module, span: range) -> bool:
    return module.is_keyword(span.start, "import")


def _fields(source: Source, index: int) -> Iterator[str]:
    """The names that follow a name, each after a dot."""
    for dot, name in zip(source.tokens[index::2], source.tokens[index + 1 :: 2], strict=False):
        if dot.text != "." or name.kind != "name":
            return
        yield name.text
