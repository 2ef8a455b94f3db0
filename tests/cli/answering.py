"""A real HTTP server that answers what a test says, and remembers what it was asked."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request: its line, its API key and its body."""

    line: str
    api_key: str | None
    body: bytes


@dataclass
class Answering:
    """Answers by "METHOD /path?query"; what is not among them hangs up."""

    url: str = ""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, line: str, status: int, document: Any, **headers: str) -> None:
        """From now on answer this request with JSON."""
        self.answers[line] = (status, headers, json.dumps(document).encode())


@contextlib.contextmanager
def answering() -> Iterator[Answering]:
    """The server, until the block ends."""
    made = Answering()

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            line = f"{self.command} {self.path}"
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.asked.append(Asked(line, self.headers.get("X-Scopebound-API-Key"), body))
            self.close_connection = True
            if line in made.answers:
                status, headers, content = made.answers[line]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
