"""A relay before a TCP server, which can be told to be slow or to cut what goes through it."""

import asyncio
import contextlib
import threading
from typing import Self

from tests.servers import free_port


class Proxy:
    """Relays to a port of this machine while the block lasts.

    `delay_seconds` is added to each answer of the server.
    """

    def __init__(self, target: int) -> None:
        self.delay_seconds = 0.0
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Reset all connections; new ones are let through."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(5)

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accepted(
        self, asking: asyncio.StreamReader, answering: asyncio.StreamWriter
    ) -> None:
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            answering.transport.abort()
            return
        both = {answering, requests}
        self._writers |= both
        await asyncio.gather(
            self._relay(asking, requests, slow=False), self._relay(answers, answering, slow=True)
        )
        self._writers -= both

    async def _relay(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if slow and self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                sink.write(data)
                await sink.drain()
        sink.close()
