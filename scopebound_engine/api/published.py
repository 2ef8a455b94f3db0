"""GET /openapi.json and /docs: fixed texts, answered with an ETag."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import falcon

from scopebound_engine.api.answers import answer_tagged


@dataclass(frozen=True, slots=True)
class Published:
    """A text that stays the same for as long as the process runs; `write` remembers it."""

    write: Callable[[], bytes]
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """This description of the API; no API key is needed."""
        data = self.write()
        tag = hashlib.sha256(data).hexdigest()[:32]
        answer_tagged(req, resp, data, self.media_type, tag, self.headers)
