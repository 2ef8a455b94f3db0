"""The bare stack: Falcon and gunicorn as Scopebound sets them up, reading a call, deciding nothing.

Run as `python -m tests.bench.peers.echo PORT WORKERS BUSY_US`. BUSY_US are the microseconds of a
processor that it spends on each call, on nothing: what waits for what then is the same as in a
service that takes as long, without what a service does.
"""

import json
import sys
import time
from typing import Any

import falcon
from gunicorn.app.base import BaseApplication

from scopebound_engine.cli.serve import _settings
from scopebound_engine.cli.worker import Worker
from scopebound_engine.config import Config

_DECISION = json.dumps({"decision": "allow", "call_id": "0", "violations": []}).encode()


class Echo:
    """Parses the body, answers always the same, after so many seconds of a processor."""

    def __init__(self, busy: float) -> None:
        self._busy = busy

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Allow it, whatever it is."""
        assert "tool_name" in json.loads(req.bounded_stream.read())
        until = time.thread_time() + self._busy
        while self._busy and time.thread_time() < until:
            sum(number * number for number in range(100))
        resp.content_type = "application/json"
        resp.data = _DECISION


class Server(BaseApplication):
    """gunicorn with so many workers, the rest as `scopebound-engine serve` sets it."""

    def load_config(self) -> None:
        """Take the settings of a node on that port."""
        port, workers = map(int, sys.argv[1:3])
        config = Config.model_validate({"port": port, "workers": workers})
        for name, value in _settings(config, Worker).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The app."""
        app = falcon.App()
        app.add_route("/v1/enforce", Echo(int(sys.argv[3]) / 1e6))
        return app


if __name__ == "__main__":
    Server().run()
