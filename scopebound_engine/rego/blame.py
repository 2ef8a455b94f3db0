"""Which rule a policy does not compile for: the engine says what is wrong with it, and not where.

For child processes only, like `compiler.py`. Each rule is compiled by itself, which is quick, and
done only for a policy that is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scopebound_engine.errors import CompileError, Finding
from scopebound_engine.rego.compiler import compile_plan
from scopebound_engine.rego.source.bodies import literals
from scopebound_engine.rego.source.syntax import Head, Module
from scopebound_engine.rego.source.tokens import Source

_ANYTHING: Final = "any/thing"
_WILDCARD: Final = "Invalid bracket argument"
_SIMPLER: Final = "write it in several, simpler expressions"
_BOUND: Final = (
    "the engine does not take [_] inside of a call, a list, an object or other brackets",
    "bind the element before: some x in …, and write x here",
)


def placed(findings: Sequence[Finding], modules: Mapping[str, str]) -> Sequence[Finding]:
    """The findings of the compiler, with the places of the rules that they are about.

    A finding for which no rule is found by itself stays as it is.
    """
    found = [blamed for path, text in modules.items() for blamed in _in_module(path, text)]
    return found if found and not any(finding.file for finding in findings) else findings


def _in_module(path: str, text: str) -> Iterator[Finding]:
    if not _said(path, text):
        return
    module = Module(Source(path, text))
    for head in module.heads:
        for finding in _said(path, _alone(module, head)):
            yield _at(module, head, finding.message)


def _said(path: str, text: str) -> tuple[Finding, ...]:
    try:
        compile_plan({path: text}, [_ANYTHING])
    except CompileError as error:
        return error.findings
    return ()


def _alone(module: Module, head: Head) -> str:
    """The text of a module with no other rule than one."""
    tokens, text = module.source.tokens, module.source.text
    others = (other for other in module.heads if other is not head)
    for other in others:
        span = slice(tokens[other.start].start, tokens[other.end - 1].end)
        text = text[: span.start] + _blank(text[span]) + text[span.stop :]
    return text


def _blank(text: str) -> str:
    return "".join(char if char == "\n" else " " for char in text)


def _at(module: Module, head: Head, message: str) -> Finding:
    wildcard = _nested_wildcard(module, head) if message.startswith(_WILDCARD) else None
    index = head.start if wildcard is None else wildcard
    place = module.source.place(module.source.tokens[index].start)
    if wildcard is None:
        said = f"the engine does not compile this rule: {message}"
        return Finding("compile", said, module.source.path, *place, _SIMPLER)
    what, remedy = _BOUND
    return Finding("compile", what, module.source.path, *place, remedy)


def _nested_wildcard(module: Module, head: Head) -> int | None:
    """The first `_` in brackets that stands inside of others, or else the first one."""
    tokens = module.source.tokens
    alone = [
        index
        for index in range(head.start + 1, head.end - 1)
        if [token.text for token in tokens[index - 1 : index + 2]] == ["[", "_", "]"]
    ]
    nested = (index for index in alone if _is_nested(module, head, index))
    return next(nested, alone[0] if alone else None)


def _is_nested(module: Module, head: Head, index: int) -> bool:
    (rule,) = (rule for rule in module.rules if rule.start == head.start)
    around = [item for item in literals(rule.bodies) if item.start <= index < item.end]
    start = max((item.start for item in around), default=head.start)
    closing = module.source.closing
    return any(closing.get(opening, 0) > index for opening in range(start, index - 1))
