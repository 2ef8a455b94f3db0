"""Tests with keys: `test_x[note] if …` holds where it is true for each key that it comes to.

As OPA does it, a key counts from the expression on that gives the last of its variables a value:
one that the body does not get to the end of is a failure. For the engine it becomes three rules:

    __cases_0[note] if { … }                       the author's, by another name
    __keys_0 contains [note] if { … }              as much of the body as binds the keys
    test_x if { every k in __keys_0 { __cases_0[k[0]] == true } }
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from scopebound_engine.rego.source.syntax import Module, Rule
from scopebound_engine.rego.testing.cases import Definition, definitions
from scopebound_engine.rego.testing.probes import main_body
from scopebound_engine.rego.testing.scopes import Scope

_CASES: Final = "__cases_"
_KEYS: Final = "__keys_"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a test as they are written, and how many expressions of its body bind them."""

    texts: tuple[str, ...]
    bound_by: int


def keys_of(found: Definition, rule: Rule, scope: Scope) -> Keys | None:
    """Those in the head of a test; None where there are none."""
    module = found.module
    spans = list(_spans(module, found.token + 1))
    if not spans:
        return None
    names = {name for span in spans for name in module.names(span) if not scope.is_global(name)}
    body = main_body(module, rule)
    literals = body.literals if body else ()
    mentioned = [set(module.names(range(item.start, item.end))) for item in literals]
    firsts = (
        next((at for at, known in enumerate(mentioned, 1) if name in known), 0) for name in names
    )
    return Keys(tuple(map(module.text, spans)), max(firsts, default=0))


def without_keys(
    modules: Mapping[str, str],
) -> tuple[dict[str, str], dict[tuple[str, int], int]]:
    """The modules with plain tests in place of those with keys, and the lines these come from.

    The lines are the author's, by file and number, for those that are added.
    """
    texts, lines = dict(modules), dict[tuple[str, int], int]()
    for number, found in reversed(list(enumerate(definitions(modules)))):
        if not any(True for _ in _spans(found.module, found.token + 1)):
            continue
        path, name = found.result.file, found.module.source.tokens[found.token]
        added = "\n" + _rules(found, number)
        before = texts[path]
        lines |= {
            (path, before.count("\n") + 1 + extra): found.result.line
            for extra in range(1, added.count("\n") + 1)
        }
        texts[path] = f"{before[: name.start]}{_CASES}{number}{before[name.end :]}{added}"
    return texts, lines


def _rules(found: Definition, number: int) -> str:
    module = found.module
    rule = next(rule for rule in module.rules if rule.start == found.head.start)
    scope = Scope(module, frozenset((*module.source.package, rule.name) for rule in module.rules))
    keys = keys_of(found, rule, scope)
    if keys is None:
        return ""
    body = main_body(module, rule)
    literals = body.literals[: keys.bound_by] if body else ()
    before = "\n".join(module.text(range(item.start, item.end)) for item in literals) or "true"
    steps = "".join(f"[__key[{index}]]" for index in range(len(keys.texts)))
    start = found.head.start + found.head.is_default
    folder = "".join(token.text for token in module.source.tokens[start : found.token])
    name, cases = module.source.tokens[found.token].text, f"{folder}{_CASES}{number}{steps}"
    return (
        f"{_KEYS}{number} contains [{', '.join(keys.texts)}] if {{\n{before}\n}}\n"
        f"{folder}{name} if {{ every __key in {_KEYS}{number} {{ {cases} == true }} }}\n"
    )


def _spans(module: Module, index: int) -> Iterator[range]:
    """What stands in the brackets that follow a name."""
    closing, tokens = module.source.closing, module.source.tokens
    while index in closing and tokens[index].text == "[":
        yield range(index + 1, closing[index])
        index = closing[index] + 1
