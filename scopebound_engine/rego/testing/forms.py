"""Forms of Rego that the engine's parser refuses (regopy 1.5.2) and tests are full of, in others.

    test_x if every a in as { … }              test_x if {every a in as { … }}
    [k | some k, v in xs; …]                   [k | some k; v := xs[k]; …]

For tests alone: a rule that is written so cannot be shipped either, and is a finding.
"""

from collections.abc import Iterator, Sequence

from scopebound_engine.rego.source.bodies import Body, Literal
from scopebound_engine.rego.source.syntax import Module, parsed
from scopebound_engine.rego.testing.edits import Edit, applied


def mended(path: str, text: str) -> str:
    """The text of a module of tests with those forms replaced; lines keep their numbers."""
    module = parsed(path, text)
    return applied(text, [edit for rule in module.rules for edit in _edits(module, rule.bodies)])


def _edits(module: Module, bodies: Sequence[Body]) -> Iterator[Edit]:
    tokens = module.source.tokens
    for body in bodies:
        if module.is_keyword(body.start - 1, "if") and module.is_keyword(body.start, "every"):
            yield Edit(tokens[body.start].start, tokens[body.start].start, "{")
            yield Edit(tokens[body.end - 1].end, tokens[body.end - 1].end, "}")
        for literal in body.literals:
            if tokens[body.start - 1].text == "|":
                yield from _pair(module, literal)
            yield from _edits(module, literal.bodies)


def _pair(module: Module, literal: Literal) -> Iterator[Edit]:
    """`some k, v in xs` as `some k; v := xs[k]`, where k is a name and xs can be looked into."""
    tokens = module.source.tokens
    comma = module.find(range(literal.start, literal.term), ",")
    if comma != literal.start + 2 or not literal.declares:
        return
    key = tokens[comma - 1].text
    value = module.text(range(comma + 1, literal.term - 1))
    if module.find(range(literal.term, literal.core_end), "|", "&", "-", "+") is not None:
        return
    declared = "" if key == "_" else f"some {key}; "
    bound = "_ =" if value == "_" else f"{value} :="
    yield Edit(tokens[literal.start].start, tokens[literal.term].start, f"{declared}{bound} ")
    end = tokens[literal.core_end - 1].end
    yield Edit(end, end, f"[{key}]")
