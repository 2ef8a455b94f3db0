"""What comes into the decision log of a server, none of it twice and none left out.

Records get into the database some moments after they were written, of a node that was cut off from
it much later; but of each node in the order of its journal. So each is followed by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from scopebound_engine.cli.log_query import Line, records
from scopebound_engine.cli.remote import Server
from scopebound_engine.times import moment, timestamp

_KEYS: Final = "/mgmt/v1/audit/keys"
# A record is written a moment after its time was taken: times of a node are not quite in order.
_MARGIN_US: Final = 5_000_000
# Whether there are more nodes is asked every so many times.
_NODES_EVERY: Final = 10


@dataclass(slots=True)
class _Node:
    """How far a node is known: the time of its newest record, and numbers around that with times.

    Those are enough: what comes later is not older than the newest but for the margin.
    """

    newest_us: int = 0
    seen: dict[int, int] = field(default_factory=dict)

    def since(self) -> str:
        return timestamp(moment(max(0, self.newest_us - _MARGIN_US) // 1_000_000))

    def is_new(self, line: Line) -> bool:
        return int(line["chain"]["seq"]) not in self.seen

    def note(self, lines: Iterable[Line]) -> None:
        for line in lines:
            at_us = int(line["record"]["at_us"])
            self.seen[int(line["chain"]["seq"])] = at_us
            self.newest_us = max(self.newest_us, at_us)
        # As coarse as `since`, which has whole seconds.
        oldest_us = self.newest_us - _MARGIN_US - 1_000_000
        self.seen = {seq: at_us for seq, at_us in self.seen.items() if at_us >= oldest_us}


class Follower:
    """Follows all nodes, or the one that the filters name, from now on."""

    def __init__(self, server: Server, filters: Mapping[str, str | None]) -> None:
        """Raises RemoteError."""
        self._server, self._filters = server, dict(filters)
        self._asked = 0
        self._nodes = {name: self._as_it_is(name) for name in self._names()}

    def note(self, lines: Iterable[Line]) -> None:
        """These are known: they are not fresh."""
        for line in lines:
            self._nodes.setdefault(line["chain"]["node"], _Node()).note([line])

    def fresh(self) -> list[Line]:
        """What has come since the last time, in the order of times. Raises RemoteError.

        If it does, nothing is forgotten: the next time has it all.
        """
        self._asked += 1
        if self._asked % _NODES_EVERY == 0:
            for name in self._names():
                self._nodes.setdefault(name, _Node())
        found = {name: self._found(name, node) for name, node in self._nodes.items()}
        for name, lines in found.items():
            self._nodes[name].note(lines)
        return sorted((line for lines in found.values() for line in lines), key=_time)

    def _names(self) -> list[str]:
        if name := self._filters.get("node"):
            return [name]
        keys = self._server.done("GET", _KEYS)["keys"]
        return sorted({str(key["node_id"]) for key in keys})

    def _as_it_is(self, name: str) -> _Node:
        """The node with all that is there of it known, whether it fits the filters or not."""
        node = _Node()
        for newest in records(self._server, {"node": name}, page=1):
            node.newest_us = int(newest["record"]["at_us"])
            break
        node.note(self._found(name, node))
        return node

    def _found(self, name: str, node: _Node) -> list[Line]:
        asked = self._filters | {"node": name, "since": node.since()}
        return [line for line in records(self._server, asked) if node.is_new(line)]


def _time(line: Line) -> tuple[int, str, int]:
    chain = line["chain"]
    return int(line["record"]["at_us"]), str(chain["node"]), int(chain["seq"])
