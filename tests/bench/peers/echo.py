"""The bare stack: Falcon and gunicorn as Scopebound sets them up, reading a call, deciding nothing.

Run as `python -m tests.bench.peers.echo PORT WORKERS`.
"""

import json
import sys
from typing import Any

import falcon
from gunicorn.app.base import BaseApplication

from scopebound_engine.cli.serve import _settings
from scopebound_engine.cli.worker import Worker
from scopebound_engine.config import Config

_DECISION = json.dumps({"decision": "allow", "call_id": "0", "violations": []}).encode()


class Echo:
    """Parses the body, answers always the same."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Allow it, whatever it is."""
        assert "tool_name" in json.loads(req.bounded_stream.read())
        resp.content_type = "application/json"
        resp.data = _DECISION


class Server(BaseApplication):
    """gunicorn with so many workers, the rest as `scopebound-engine serve` sets it."""

    def load_config(self) -> None:
        """Take the settings of a node on that port."""
        port, workers = map(int, sys.argv[1:])
        config = Config.model_validate({"port": port, "workers": workers})
        for name, value in _settings(config, Worker).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The app."""
        app = falcon.App()
        app.add_route("/v1/enforce", Echo())
        return app


if __name__ == "__main__":
    Server().run()
