"""One mutant before the tests, and what is left of it where the engine does not survive it."""

import mmap
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.forks import Answer
from scopebound_engine.rego.mutants.laboratory import Laboratory
from scopebound_engine.rego.sandboxed import OUT_OF_TIME, ending, time_limit

# A mutant may take longer than what it was made of, but not by so much.
_SLOWER: Final = 20.0
_SECONDS: Final = 2.0
_CELL: Final = struct.Struct("<i")


class Trial:
    """Runs the tests, by index, that may notice a mutant, by number, until enough of them do.

    `order` names those tests, `seconds` is what each takes without a mutant.
    """

    def __init__(
        self,
        laboratory: Laboratory,
        tests: Sequence[str],
        seconds: Sequence[float],
        order: Mapping[int, Sequence[int]],
        enough: int,
    ) -> None:
        self._laboratory, self._tests, self._seconds = laboratory, tests, seconds
        self._order, self._enough = order, enough
        # Shared with the processes that are forked: which test was under way when one ended.
        self._cells = {number: at * _CELL.size for at, number in enumerate(order)}
        self._under_way = mmap.mmap(-1, max(len(order), 1) * _CELL.size)

    def run(self, number: int) -> Answer:
        """The tests that a mutant fails, in the order in which they were run."""
        killers: list[int] = []
        message = ""
        for test in self._order[number]:
            _CELL.pack_into(self._under_way, self._cells[number], test)
            try:
                with time_limit(self.limit(test)):
                    holds = self._laboratory.holds(self._tests[test], number)
            except EngineError as error:
                holds, message = False, message or str(error)
            if not holds:
                killers.append(test)
                if len(killers) == self._enough:
                    break
        return {"killers": killers, "message": message}

    def limit(self, test: int) -> float:
        """The seconds of wall time after which a mutant counts as noticed by a test."""
        return _SECONDS + _SLOWER * self._seconds[test]

    def lost(self, number: int, status: int) -> Answer:
        """The answer for a mutant whose process ended with this exit code or signal."""
        (test,) = _CELL.unpack_from(self._under_way, self._cells[number])
        late = -status in OUT_OF_TIME
        how = f"took longer than {self.limit(test):.1f} s" if late else ending(status)
        return {"killers": [test], "message": how}
