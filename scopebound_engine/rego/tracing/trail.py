"""The list that the marks of an evaluation are in, gone along once."""

from typing import Any, Final

from scopebound_engine.errors import EngineError
from scopebound_engine.rego import native
from scopebound_engine.rego.tracing.values import read

# Of marks and values; an evaluation with more is none that anybody reads the explanation of.
MOST_MARKS: Final = 400_000
_DIGITS: Final = 12


class Trail:
    """Marks and values, by the node that holds them. Raises EngineError if there are too many."""

    def __init__(self, node: int) -> None:
        if native.node_size(node) > MOST_MARKS:
            raise EngineError(
                f"the evaluation has more than {MOST_MARKS:,} steps, too many to be explained"
            )
        self._nodes = native.node_children(node)
        self._at = 0
        self._mark = self._read_mark()

    def take(self, mark: int) -> bool:
        """Whether this mark is the next; it is then gone by."""
        if mark != self._mark:
            return False
        self._go_on()
        return True

    def value(self) -> Any:
        """The value that stands here. Raises EngineError where none does."""
        if self.is_over:
            raise lost()
        content = read(self._nodes[self._at])
        self._go_on()
        return content

    @property
    def is_over(self) -> bool:
        """Whether all has gone by."""
        return self._at == len(self._nodes)

    def _go_on(self) -> None:
        self._at += 1
        self._mark = self._read_mark()

    def _read_mark(self) -> int:
        """The mark that stands here; -1 for a value that cannot be one."""
        if self.is_over:
            return -1
        node = self._nodes[self._at]
        text = native.node_value(node) if native.node_kind(node) == native.STRING else b""
        return int(text) if text.isdigit() and len(text) <= _DIGITS else -1


def lost() -> EngineError:
    """What is raised where marks are not those of an evaluation."""
    return EngineError("what the Rego engine told of the evaluation cannot be followed")
