"""The source with all mutants in it: each as a rule of its own, beside the rule that it changes.

    depth_left if remaining >= 1         depth_left if remaining >= 1
                                         __mutant_7_depth_left if remaining > 1

So one compilation is enough for all of them, and what runs is what the compiler makes of the
changed text.
"""

from collections.abc import Mapping
from typing import Final

from scopebound_engine.rego.mutants.clause import Clause
from scopebound_engine.rego.mutants.mutation import Mutation
from scopebound_engine.rego.source.syntax import parsed

PREFIX: Final = "__mutant_"


def graft(modules: Mapping[str, str], mutations: Mapping[int, Mutation]) -> dict[str, str]:
    """The modules, by path, with the mutants, by number."""
    texts = {path: [text] for path, text in modules.items()}
    rules = _clauses(modules, {mutation.file for mutation in mutations.values()})
    for number, mutation in mutations.items():
        for path, index, clause in rules[mutation.path]:
            changed = path == mutation.file and index == mutation.clause
            text = mutation.applied(clause.text, clause.start) if changed else clause.text
            if text:
                at = clause.name.start - clause.start
                texts[path].append(f"{text[:at]}{PREFIX}{number}_{text[at:]}")
    return {path: "\n\n".join(parts) for path, parts in texts.items()}


def _clauses(
    modules: Mapping[str, str], changed: set[str]
) -> dict[tuple[str, ...], list[tuple[str, int, Clause]]]:
    """The clauses of each rule of the changed modules' packages, with their files and indices."""
    read = {path: parsed(path, text) for path, text in modules.items()}
    packages = {read[path].source.package for path in changed}
    found: dict[tuple[str, ...], list[tuple[str, int, Clause]]] = {}
    for path, module in read.items():
        if module.source.package in packages:
            for index, rule in enumerate(module.rules):
                key = (*module.source.package, rule.name)
                found.setdefault(key, []).append((path, index, Clause(module, rule, ())))
    return found
