"""Verifies a log: journals and exports, by their chains and by signed checkpoints.

Needs nothing but the files and the public keys, and no more memory than some lines. What is wrong
is named by its first bad record; what could not be checked is said.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Final

from scopebound_engine.errors import InputError, LineError
from scopebound_engine.log import chain
from scopebound_engine.log.checkpoints import is_half, node_of, split
from scopebound_engine.log.flaws import Flaw, Place
from scopebound_engine.log.notes import VerifierKey
from scopebound_engine.log.seals import SealFile
from scopebound_engine.log.sources import Source, lines
from scopebound_engine.log.walk import Walk

_MOST_NODES: Final = 10_000
_NO_KEY: Final = (
    "no key was given, so no checkpoint was checked: a chain that was cut at its end, or written "
    "anew as a whole, looks sound"
)
_OTHER: Final = "this is no line of a log (an export is verified in the format jsonl)"


@dataclass(frozen=True, slots=True)
class Checked:
    """The records `first` to `last` of a node, sound up to its flaw if there is one.

    For those up to `proven` a checkpoint vouches, one of the `matched` that were compared.
    """

    node: str
    first: int
    last: int
    proven: int
    matched: int


@dataclass(slots=True)
class Report:
    """What was verified, what is wrong in the order of reading, and what could not be checked."""

    checked: list[Checked] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, flaw: Flaw | None) -> None:
        """One more thing that is wrong, unless it is known."""
        if flaw is not None and flaw not in self.flaws:
            self.flaws.append(flaw)

    def note(self, note: str) -> None:
        """One more thing to be said, unless it was."""
        if note not in self.notes:
            self.notes.append(note)


def verify(
    sources: Sequence[Source],
    keys: Sequence[VerifierKey],
    checkpoints: Sequence[Path] = (),
    *,
    progress: Callable[[int], object] = lambda _read: None,
) -> Report:
    """Verify what is there.

    Raises InputError for a key of something else, or a file in `checkpoints` that holds none, by
    which nothing would be verified; OSError.
    """
    for path in checkpoints:
        if not _holds_checkpoint(path):
            raise InputError("", f"{path} holds no whole checkpoint; get it again from its keeper")
    report = Report()
    if not keys:
        report.note(_NO_KEY)
    for source in sources:
        _Verifier(source, keys, checkpoints, report).run(progress)
    return report


class _Verifier:
    """Walks through one source, for each of its nodes."""

    def __init__(
        self,
        source: Source,
        keys: Sequence[VerifierKey],
        more: Sequence[Path],
        report: Report,
    ) -> None:
        self._source, self._keys, self._report = source, keys, report
        self._nodes = {node_of(key) for key in keys}
        beside = [source.checkpoints] if source.checkpoints else []
        self._seal_paths = [*beside, *more] if keys else []
        self._walks: dict[str, tuple[Walk, list[SealFile]]] = {}
        self._strangers: set[str] = set()
        self._is_other = False

    def run(self, progress: Callable[[int], object]) -> None:
        """Read all, and report."""
        if self._source.is_journal:
            self._journal(progress)
        else:
            self._export(progress)
        for walk, seal_files in self._walks.values():
            self._tell(walk, seal_files)

    def _journal(self, progress: Callable[[int], object]) -> None:
        """All lines are of one node."""
        walk = self._begin(self._journal_node(), due=self._source.due)
        for file in self._source.files:
            for number, data in self._records(file, progress):
                walk.take(data, str(file), number)
                if walk.settled:
                    return

    def _records(
        self, file: Path, progress: Callable[[int], object]
    ) -> Iterator[tuple[int, bytes]]:
        """The lines of a segment without the empty one at its end, which says that it is over.

        One that is not whole may be at the very end of the journal.
        """
        ended = 0
        for number, data, is_whole in lines(file, progress):
            if ended:
                yield ended, b""
                ended = 0
            if not data:
                ended = number
            elif is_whole or file != self._source.files[-1]:
                yield number, data
            else:
                self._report.note(
                    f"{file}:{number} is not whole: it is being written, or a crash tore it"
                )

    def _journal_node(self) -> str:
        if len(self._nodes) == 1:
            return next(iter(self._nodes))
        for file in self._source.files:
            for _, data, _ in lines(file, lambda _: None):
                link = _link(data)
                return link.node if link else ""
        return ""

    def _export(self, progress: Callable[[int], object]) -> None:
        """Lines of several nodes may take turns; what is no line belongs to the one before it."""
        walk: Walk | None = None
        for file in self._source.files:
            for number, data, _ in lines(file, progress):
                if walk is None or not walk.claims(data):
                    walk = self._walk_of(data, Place(str(file), number), walk)
                if walk is not None:
                    walk.take(data, str(file), number)
        if not (self._walks or self._strangers or self._is_other):
            raise InputError("", f"{self._source.files[0]} holds no record")

    def _walk_of(self, data: bytes, place: Place, current: Walk | None) -> Walk | None:
        link = _link(data)
        if link is None:
            if current is None and not self._is_other:
                self._is_other = True
                self._report.add(Flaw("damaged", "", 0, 0, place, _OTHER))
            return current
        if link.node in self._walks:
            return self._walks[link.node][0]
        if len(self._walks) + len(self._strangers) >= _MOST_NODES:
            raise InputError("", f"more than {_MOST_NODES} nodes in {self._source.files[0]}")
        if self._keys and link.node not in self._nodes:
            self._foreign(link, place)
            return None
        return self._begin(link.node)

    def _foreign(self, link: chain.Link, place: Place) -> None:
        if link.node not in self._strangers:
            self._strangers.add(link.node)
            self._report.add(
                Flaw(
                    "foreign",
                    link.node,
                    link.seq,
                    link.seq,
                    place,
                    f"record {link.seq} is of the node {link.node[:80]}, of which no key was given",
                )
            )

    def _begin(self, node: str, due: int = 0) -> Walk:
        files = [SealFile(path, self._keys) for path in self._seal_paths]
        seals = heapq.merge(*(file.of(node) for file in files), key=attrgetter("size"))
        walk = Walk(node, seals, after=(0, chain.GENESIS) if due == 1 else None, due=due)
        self._walks[node] = (walk, files)
        return walk

    def _tell(self, walk: Walk, files: Sequence[SealFile]) -> None:
        flaw = walk.flaw()
        self._report.add(flaw)
        for file in files:
            self._report.add(file.flaw)
            if file.refused > 1:
                self._report.note(f"{file.path}: {file.refused} checkpoints are not believed")
            if file.is_half:
                self._report.note(
                    f"{file.path}: its last checkpoint is not whole; a crash may do that"
                )
        first, last, proven = walk.first, walk.last, walk.proven
        self._report.checked.append(Checked(walk.node, first, last, proven, walk.matched))
        if first > 1:
            self._report.note(
                f"records 1 to {first - 1} of {walk.node} are not here and were not checked; "
                "retention removes the oldest"
            )
        if flaw is None and self._keys and last > proven:
            self._report.note(
                f"records {max(proven + 1, first)} to {last} of {walk.node} are behind the newest "
                "checkpoint: chained, but nothing tells whether they were cut or written anew"
            )


def _holds_checkpoint(path: Path) -> bool:
    with path.open("rb") as file:
        return any(not is_half(note) for _, note in split(file))


def _link(data: bytes) -> chain.Link | None:
    try:
        return chain.split(data)
    except LineError:
        return None
