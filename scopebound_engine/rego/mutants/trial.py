"""One mutant before the tests, and what is left of it where the engine does not survive it."""

import mmap
import signal
import struct
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.forks import Answer
from scopebound_engine.rego.mutants.laboratory import Laboratory
from scopebound_engine.rego.sandboxed import OUT_OF_TIME, ending, time_limit

# A mutant may take longer than what it was made of, but not by so much.
_SLOWER: Final = 20.0
_SECONDS: Final = 2.0
_TWO: Final = 2
_CELL: Final = struct.Struct("<i")


class Trial:
    """Runs the tests, by index, that may notice a mutant, by number, until enough of them do.

    `order` names those tests, the likely ones first, and `rules` what each mutant changes;
    `seconds` is what each test takes without a mutant.
    """

    def __init__(
        self,
        laboratory: Laboratory,
        tests: Sequence[str],
        seconds: Sequence[float],
        order: Mapping[int, Sequence[int]],
        rules: Mapping[int, Hashable],
        enough: int,
    ) -> None:
        self._laboratory, self._tests, self._seconds = laboratory, tests, seconds
        self._order, self._rules, self._enough = order, rules, enough
        # By rule the tests that noticed its mutants in this process, the last ones first.
        self._noticed: dict[Hashable, list[int]] = {}
        # The tests that alone noticed a mutant in this process.
        self._needed: set[int] = set()
        # Shared with the processes that are forked: which test was under way when one ended.
        self._cells = {number: at * _CELL.size for at, number in enumerate(order)}
        self._under_way = mmap.mmap(-1, max(len(order), 1) * _CELL.size)

    def run(self, number: int) -> Answer:
        """The tests that a mutant fails, in the order in which they were run.

        "alone" says that all were run and one failed. Where two are enough, to tell which tests are
        needed, no second is looked for beside one that is needed for another mutant.
        """
        killers: list[int] = []
        message, alone = "", False
        for test in self._likely_first(number):
            _CELL.pack_into(self._under_way, self._cells[number], test)
            try:
                # Of processor time: a busy machine kills no mutants.
                with time_limit(self.limit(test), signal.ITIMER_PROF):
                    holds = self._laboratory.holds(self._tests[test], number)
            except EngineError as error:
                holds, message = False, message or str(error)
            if not holds:
                killers.append(test)
                if len(killers) == self._enough or self._is_enough(test):
                    break
        else:
            alone = len(killers) == 1
        self._needed.update(killers if alone else ())
        rule = self._rules[number]
        self._noticed[rule] = list(dict.fromkeys((*killers, *self._noticed.get(rule, ()))))
        return {"killers": killers, "message": message, "alone": alone}

    def _is_enough(self, test: int) -> bool:
        return self._enough == _TWO and test in self._needed

    def _likely_first(self, number: int) -> list[int]:
        """The tests for a mutant, those first that noticed others of its rule."""
        order = self._order[number]
        noticed = [test for test in self._noticed.get(self._rules[number], ()) if test in order]
        return list(dict.fromkeys((*noticed, *order)))

    def limit(self, test: int) -> float:
        """The seconds of processor time after which a mutant counts as noticed by a test."""
        return _SECONDS + _SLOWER * self._seconds[test]

    def lost(self, number: int, status: int) -> Answer:
        """The answer for a mutant whose process was ended by a signal, whose number is negative.

        Raises EngineError for an exit code: that is no doing of the mutant.
        """
        if status >= 0:
            raise EngineError(f"a process that tried mutants exited with {status}")
        (test,) = _CELL.unpack_from(self._under_way, self._cells[number])
        late = -status in OUT_OF_TIME
        how = (
            f"took more than {self.limit(test):.1f} s of processor time" if late else ending(status)
        )
        return {"killers": [test], "message": how}
