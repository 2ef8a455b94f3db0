"""What a worker, its spawner and its evaluators say to each other, as bytes on stream sockets.

Requests go down as marshal: exact, quick, and only ever from a parent to its own child. Answers
come up as JSON or as fixed bytes: a child whose memory may be corrupted must not be able to make
its parent run anything, so nothing that comes up is unmarshalled.
"""

import marshal
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final

# One request at a time. The nonce of a request comes back with its reply, so that a late or second
# reply to one request is never taken for the reply to another.
REQUEST: Final = struct.Struct("<16sdI")  # nonce, seconds for the evaluation, bytes that follow
REPLY: Final = struct.Struct("<16sc?I")  # nonce, kind, whether it is the last, bytes that follow
ALLOW: Final = b"A"  # nothing follows
DENY: Final = b"D"  # the violations, a JSON array of objects
FAILED: Final = b"E"  # why there is no verdict, a JSON string
MAX_REPLY_BYTES: Final = 1 << 20
MAX_ORIGINS_BYTES: Final = 4 << 20
# About as long as it takes to compile the largest bundle that the gate lets through.
ORIGINS_SECONDS: Final = 5.0

# On the spawner's control socket: first the program, answered by findings, then commands.
PROGRAM: Final = struct.Struct("<dI")  # seconds for the compilation, bytes that follow
FINDINGS: Final = struct.Struct("<I")  # bytes of a JSON array that follow; 0: it compiled
COMMAND: Final = struct.Struct("<cq")  # what to do, and a process id
FORK: Final = b"F"  # an evaluator for the socket that rides along; answered by its process id
TELL: Final = b"O"  # fork one that sends the rules' places, JSON, to the socket that rides along
END: Final = b"K"  # of the evaluator with this id; answered by its exit code, negative: a signal
ANSWER: Final = struct.Struct("<q")


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises EOFError where the other side has ended before."""
    data = connection.recv(size)
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise EOFError("the other side has ended")
        data += chunk
    return data


def encode_facts(facts: Mapping[str, Any]) -> bytes:
    """Facts for a child of this process. Raises ValueError where they are not JSON values."""
    return marshal.dumps(facts if type(facts) is dict else dict(facts))


def decode_facts(data: bytes) -> dict[str, Any]:
    """Reverses `encode_facts`. Only for bytes from the own parent process."""
    facts: dict[str, Any] = marshal.loads(data)  # noqa: S302 (the parent wrote it)
    return facts
