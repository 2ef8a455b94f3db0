"""One text in OPA's style, held against what it was."""

from collections.abc import Iterator, Sequence

from scopebound_engine.author.formatting.braces import settled
from scopebound_engine.author.formatting.places import Places
from scopebound_engine.author.formatting.writing import written
from scopebound_engine.rego.source import normal
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source


def formatted(text: str) -> str:
    """Rego that parses, in OPA's style."""
    return written(Module(Source("", settled(Source("", text)))))


def difference(before: str, after: str) -> str:
    """What a formatted text lacks or has that its source does not, as a phrase; else ""."""
    one, two = Source("", before), Source("", after)
    if _essence(one) != _essence(two):
        return "its tokens would be others"
    if sorted(Places(one).all_comments()) != sorted(Places(two).all_comments()):
        return "its comments would be others"
    if formatted(after) != after:
        return "formatted again it would change"
    return ""


def _essence(source: Source) -> list[list[str]]:
    """All statements as tokens, the imports sorted, without braces that bodies may leave out."""
    found = [list(_unbraced(words)) for words in normal.statements(Module(source))]
    imports = sorted(words for words in found if words[:1] == ["import"])
    return imports + [words for words in found if words[:1] != ["import"]]


def _unbraced(words: Sequence[str]) -> Iterator[str]:
    depth, left_out = 0, set[int]()
    for index, word in enumerate(words):
        if word == "}":
            depth -= 1
            if depth in left_out:
                left_out.remove(depth)
                continue
        if word == "{":
            depth += 1
            if index and words[index - 1] == "if":
                left_out.add(depth - 1)
                continue
        yield word
