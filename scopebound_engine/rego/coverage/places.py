"""Where the statements of a compiled plan stand in the author's modules."""

from collections.abc import Mapping
from typing import Any

from scopebound_engine.rego.coverage.units import Clause, Expression, Position, Units
from scopebound_engine.rego.rewriting import Raw, listings
from scopebound_engine.rego.source.syntax import parsed
from scopebound_engine.rego.testing.lowering import Lowered


class Places:
    """Finds what the own places of a document's statements are in."""

    def __init__(self, document: Mapping[str, Any], lowered: Lowered, units: Units) -> None:
        self._files = [file["value"] for file in document["static"]["files"]]
        self._lowered, self._units = lowered, units
        self._positions: dict[tuple[int, int, int], tuple[str, Position]] = {}

    def expression(self, statement: Raw) -> Expression | None:
        """The innermost expression that a statement is in."""
        found = self._position(statement)
        return None if found is None else self._units.expression(*found)

    def clause(self, statement: Raw) -> Clause | None:
        """The clause that a statement is in."""
        found = self._position(statement)
        return None if found is None else self._units.clause(*found)

    def outermost(self, function: Mapping[str, Any]) -> Expression | None:
        """The expression that all of a function is made from, as it is of one with `with`."""
        found = [
            expression
            for listing in listings(function)
            for statement in listing.statements
            if (expression := self.expression(statement)) is not None
        ]
        return min(found, key=lambda item: item.start, default=None)

    def _position(self, statement: Raw) -> tuple[str, Position] | None:
        fields = statement["stmt"]
        if "row" not in fields:
            return None
        key = (fields["file"], fields["row"], fields["col"])
        if key not in self._positions:
            path = self._files[fields["file"]]
            source = parsed(path, self._lowered.modules[path]).source
            column = source.column_of_byte(fields["row"], fields["col"])
            line = self._lowered.line(path, fields["row"] + 1)
            self._positions[key] = (path, (line, column))
        return self._positions[key]
