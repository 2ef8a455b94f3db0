"""What a judge and its processes say to each other, as bytes on stream sockets.

A chunk goes down as marshal, to the own child; what comes up is a reply for each of its questions,
of the kinds of the pool's wire (`pool/wire.py`), and nothing of it is unmarshalled.
"""

import struct
from typing import Final

CHUNK: Final = struct.Struct("<I")  # bytes of a marshalled list of facts that follow
REPLY: Final = struct.Struct("<cI")  # kind, bytes that follow
# On the control socket: fork a process for the socket that rides along.
FORK: Final = b"F"
