"""Whether a deny rule says what it is: METADATA with title, description, and its code and severity.

Reports, editors and whoever reads a denial find the rule by it; so it must say what the rule does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.denials import Violation, violations
from scopebound_engine.rego.checks.values import Values
from scopebound_engine.rego.source.annotations import Annotation, annotations
from scopebound_engine.rego.source.syntax import Module

_STEP: Final = "metadata"
_TEXTS: Final = ("title", "description")
_TEMPLATE: Final = (
    "write above its package: # METADATA, # title: …, # description: …, # custom:, "
    "#   code: {code}, #   severity: {severity}"
)


def unreadable(modules: Sequence[Module]) -> Iterator[Finding]:
    """Blocks that are no YAML."""
    for module in modules:
        for block in annotations(module.source):
            if block.wrong:
                message = f"the METADATA cannot be read: {block.wrong}"
                remedy = "write it as YAML: # name: value, each on a line of its own"
                yield Finding(_STEP, message, module.source.path, block.line, 1, remedy)


def undocumented(
    values: Values, entrypoint: str, modules: Mapping[str, Module]
) -> Iterator[Finding]:
    """Deny rules without METADATA, or with one that says something else than they do.

    `modules` are the rules by path. What several rules of a file lack is told once.
    """
    blocks = {path: list(annotations(module.source)) for path, module in modules.items()}
    told: set[tuple[str, int, str]] = set()
    for made in violations(values, entrypoint):
        file = made.place.file
        if file not in modules or any(block.wrong for block in blocks[file]):
            continue
        about = _about(made, modules[file], blocks[file])
        found = [*_lacking(file, about), *_disagreeing(made, about)] if about else [_bare(made)]
        for finding in found:
            # Of rules without METADATA the first stands for all of their file.
            key = (file, finding.line if about else 0, finding.message)
            if key not in told:
                told.add(key)
                yield finding


def _bare(made: Violation) -> Finding:
    code, severity = (" or ".join(sorted(said)) for said in (made.code, made.severity))
    remedy = _TEMPLATE.format(code=code or "…", severity=severity or "…")
    return made.place.finding(_STEP, "a rule that denies has no METADATA", remedy)


def _about(made: Violation, module: Module, blocks: Sequence[Annotation]) -> list[Annotation]:
    """What is said of the rule that makes a violation: of the rule itself, then of its package."""
    place = module.source.place
    tokens = module.source.tokens
    starts = {place(tokens[head.start].start)[0]: head for head in module.heads}
    own = max((line for line in starts if line <= made.place.line), default=0)
    of_rule = [
        block
        for block in blocks
        if block.target in starts
        and starts[block.target].name == starts[own].name
        and (block.target == own or block.fields.get("scope") == "document")
    ]
    return [*of_rule, *(block for block in blocks if block.of_package)]


def _lacking(file: str, about: Sequence[Annotation]) -> Iterator[Finding]:
    for name in _TEXTS:
        said = [block.fields[name] for block in about if name in block.fields]
        if not said or not isinstance(said[0], str) or not said[0].strip():
            remedy = f"add a line: # {name}: …"
            message = f"the METADATA has no {name}"
            yield Finding(_STEP, message, file, about[0].line_of(name), 1, remedy)


def _disagreeing(made: Violation, about: Sequence[Annotation]) -> Iterator[Finding]:
    for name, does in (("code", made.code), ("severity", made.severity)):
        wanted = " or ".join(sorted(does))
        block, said = _custom(about, name)
        # What is not a literal is a finding of its own.
        if not wanted or does == {said}:
            continue
        line = block.line_of(f"custom.{name}")
        if said is None:
            message = f"the METADATA has no custom.{name}"
            remedy = f"add below # custom: #   {name}: {wanted}"
        else:
            message = f"the METADATA says {name} {said}, and the rule denies with {wanted}"
            remedy = "write the same in both; a rule can have METADATA of its own"
        yield Finding(_STEP, message, made.place.file, line, 1, remedy)


def _custom(about: Sequence[Annotation], name: str) -> tuple[Annotation, Any]:
    for block in about:
        custom = block.fields.get("custom")
        if isinstance(custom, dict) and name in custom:
            return block, custom[name]
    return about[0], None
