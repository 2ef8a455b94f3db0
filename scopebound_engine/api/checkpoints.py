"""/mgmt/v1/audit/checkpoint and /keys: what auditors keep elsewhere, to verify the log by."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import falcon

from scopebound_engine.access.model import AUDIT
from scopebound_engine.api import queries
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.errors import JournalError, NotFoundError
from scopebound_engine.log import checkpoints
from scopebound_engine.log.log_keys import PublishedLogKey
from scopebound_engine.times import timestamp

NOTE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The newest checkpoint of this node's log, and all nodes' keys."""

    file: Path
    keys: Callable[[], Iterable[PublishedLogKey]]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """How many records the node that answers has in its log, signed by it.

        A signed note (c2sp.org/signed-note) whose text is a checkpoint (c2sp.org/tlog-checkpoint).
        A log that was cut or rewritten since does not fit one that was kept elsewhere:
        `scopebound-engine log verify`.
        """
        require(req, AUDIT)
        queries.only(req)
        try:
            note = checkpoints.newest(self.file)
        except OSError as error:
            raise JournalError(f"{self.file} cannot be read: {error.strerror}") from error
        if note is None:
            raise NotFoundError(f"{self.file} holds no checkpoint; a restart of the node makes one")
        resp.content_type, resp.data = NOTE, note

    def on_get_keys(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The public keys that checkpoints of all nodes are verified with, former ones too."""
        require(req, AUDIT)
        queries.only(req)
        keys = [
            {
                "node_id": one.node,
                "vkey": str(one.key),
                "published_at": timestamp(one.published_at),
            }
            for one in self.keys()
        ]
        answer_json(resp, {"count": len(keys), "keys": keys})
