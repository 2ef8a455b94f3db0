"""All mutants of a policy, in the order of its files."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from scopebound_engine.rego.mutants.clause import Clause
from scopebound_engine.rego.mutants.faults import faults
from scopebound_engine.rego.mutants.mutation import Mutation
from scopebound_engine.rego.source.syntax import Module, parsed
from scopebound_engine.rego.source.tokens import Source
from scopebound_engine.rego.testing.cases import MARK

_TESTS: Final = (MARK, f"todo_{MARK}")


def mutations(
    modules: Mapping[str, str], rules: Collection[str], pattern: str = ""
) -> list[Mutation]:
    """The mutations of those modules, by path, whose paths are in `rules`.

    Only of rules in whose full name the regular expression `pattern` is found.
    """
    read = {path: parsed(path, modules[path]) for path in modules if path in rules}
    clauses: dict[tuple[str, ...], Counter[str]] = {}
    for module in read.values():
        names = (rule.name for rule in module.rules)
        clauses.setdefault(module.source.package, Counter()).update(names)
    return [
        mutation
        for module in read.values()
        for mutation in _of_module(module, clauses[module.source.package])
        if re.search(pattern, mutation.rule)
    ]


def _of_module(module: Module, clauses: Counter[str]) -> Iterator[Mutation]:
    """The mutations of a module; `clauses` counts those of each rule of its package."""
    seen: Counter[tuple[str, str]] = Counter()
    source, known = module.source, {*clauses, *module.imports}
    for number, rule in enumerate(module.rules):
        if rule.name.startswith(_TESTS):
            continue
        name = ".".join(("data", *source.package, rule.name))
        alone = clauses[rule.name] == 1
        for edit in faults(Clause(module, rule, known), alone=alone):
            seen[rule.name, edit.words] += 1
            again = seen[rule.name, edit.words]
            first, last = _lines(source, edit.start, edit.end)
            yield Mutation(
                file=source.path,
                rule=name,
                clause=number,
                line=first,
                last_line=last,
                kind=edit.kind,
                start=edit.start,
                end=edit.end,
                text=edit.text,
                words=edit.words if again == 1 else f"{edit.words} ({again})",
            )


def _lines(source: Source, start: int, end: int) -> tuple[int, int]:
    """The first and last line of a text, but for blanks at its beginning."""
    text = source.text[start:end]
    first = start + len(text) - len(text.lstrip())
    return source.place(first)[0], source.place(max(first, end - 1))[0]
