"""The order of statements, and which of them have no empty line between them."""

from collections.abc import Iterator, Sequence

from scopebound_engine.author.formatting.layout import Lines
from scopebound_engine.rego.source.syntax import Module


def groups(module: Module) -> Iterator[list[range]]:
    """The statements, each alone but for imports on lines that follow each other."""
    group: list[range] = []
    for span in module.statements:
        if group and not (_is_import(module, span) and _follows(module, group[-1], span)):
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def in_order(module: Module, group: Sequence[range]) -> Sequence[range]:
    """The imports of a group by their paths."""
    return sorted(group, key=lambda span: _import_key(module, span)) if len(group) > 1 else group


def are_close(module: Module, lines: Lines, one: range, group: Sequence[range]) -> bool:
    """Whether two rules stay on lines that follow each other: the first is one line, both short."""
    other = group[0]
    return (
        _is_short(module, one)
        and _is_short(module, other)
        and not any(index in lines.begins for index in one)
        and _row(module, other.start) == _row(module, one.start) + 1
    )


def _is_short(module: Module, span: range) -> bool:
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


def _follows(module: Module, one: range, other: range) -> bool:
    end, _ = module.source.place(module.source.tokens[one.stop - 1].end - 1)
    return _is_import(module, one) and _row(module, other.start) - end <= 1


def _import_key(module: Module, span: range) -> tuple[list[str], list[str]]:
    alias = module.find(span, "as") or span.stop
    texts = [module.source.tokens[index].text.strip('"`') for index in span]
    path = [text for text in texts[1 : alias - span.start] if text not in {".", "[", "]"}]
    return path, texts[alias - span.start + 1 :]


def _row(module: Module, index: int) -> int:
    return module.source.place(module.source.tokens[index].start)[0]
