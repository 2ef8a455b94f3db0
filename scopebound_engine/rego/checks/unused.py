"""Imports that nothing uses: what they were meant for may be missing."""

from collections.abc import Iterator, Sequence
from typing import Final

from scopebound_engine.errors import Finding
from scopebound_engine.rego.source.syntax import Module

_STEP: Final = "unused"


def unused_imports(modules: Sequence[Module]) -> Iterator[Finding]:
    """Warnings of imports whose name stands nowhere else in their file."""
    for module in modules:
        tokens = module.source.tokens
        used = {
            tokens[index].text
            for span in module.statements
            if tokens[span.start].text not in {"package", "import"}
            for index in span
            if tokens[index].kind == "name" and tokens[index - 1].text != "."
        }
        for span in module.statements:
            name = tokens[span[-1]].text
            if tokens[span.start].text == "import" and name in module.imports and name not in used:
                line, column = module.source.place(tokens[span.start].start)
                message = f"{name} is imported and not used"
                remedy = "take the import out, or use it"
                place = (module.source.path, line, column)
                yield Finding(_STEP, message, *place, remedy, level="warning")
