"""GET /openapi.json and /docs: fixed texts, answered with an ETag."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import falcon


@dataclass(frozen=True, slots=True)
class Published:
    """A text that stays the same for as long as the process runs."""

    data: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """This description of the API; no API key is needed."""
        tag = falcon.ETag(hashlib.sha256(self.data).hexdigest()[:32])
        resp.etag = tag
        resp.cache_control = ["no-cache"]
        known = req.if_none_match or []
        if "*" in known or any(tag == given for given in known):
            resp.status = falcon.HTTP_304
            return
        resp.set_headers(dict(self.headers))
        resp.content_type = self.media_type
        resp.data = self.data
