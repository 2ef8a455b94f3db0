"""The statements of a module: which belong together, in which order, and which are short."""

from collections.abc import Iterator, Sequence

from scopebound_engine.author.formatting.places import Places
from scopebound_engine.rego.source.syntax import Module


def groups(module: Module, places: Places) -> Iterator[list[range]]:
    """The statements, each alone but for imports on lines that follow each other."""
    group: list[range] = []
    for span in module.statements:
        if group and not (_is_import(module, span) and _follows(module, places, group[-1], span)):
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def in_order(module: Module, group: Sequence[range]) -> Sequence[range]:
    """The imports of a group by their paths."""
    return sorted(group, key=lambda span: _import_key(module, span)) if len(group) > 1 else group


def is_short(module: Module, span: range) -> bool:
    """Whether a rule has one expression at most, and is no default."""
    if module.is_keyword(span.start, "package", "import", "default"):
        return False
    keyword = module.find(span, "if")
    if keyword is None or module.source.tokens[keyword + 1].text != "{":
        return True
    close = module.source.closing.get(keyword + 1, span.stop)
    return len(list(module.split(range(keyword + 2, close), separator=";"))) <= 1


def _is_import(module: Module, span: range) -> bool:
    return module.is_keyword(span.start, "import")


def _follows(module: Module, places: Places, one: range, other: range) -> bool:
    return _is_import(module, one) and places.between(one.stop - 1, other.start) <= 1


def _import_key(module: Module, span: range) -> tuple[list[str], list[str]]:
    alias = module.find(span, "as") or span.stop
    texts = [module.source.tokens[index].text.strip('"`') for index in span]
    path = [text for text in texts[1 : alias - span.start] if text not in {".", "[", "]"}]
    return path, texts[alias - span.start + 1 :]
