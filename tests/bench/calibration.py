"""A fixed piece of work whose duration tells how fast a machine is right now.

It is the kind of work that a request is: JSON, dictionaries, text, a hash. What a call costs, in
units of it, can be compared between machines.
"""

import hashlib
import json
import statistics
import time

_DOCUMENT = {
    "claims": {"allowed_tools": [f"tool_{number}" for number in range(20)], "exp": 1795331464},
    "call_args": {"amount": 25000, "env": "staging", "texts": ["pending"] * 10},
    "rates": {str(number): number * 0.5 for number in range(20)},
}


def unit() -> bytes:
    """The work; about 100 µs of a processor in 2024. Its result is always the same."""
    digest = hashlib.sha256()
    for turn in range(4):
        read = json.loads(json.dumps(_DOCUMENT))
        names = sorted(read["claims"]["allowed_tools"], reverse=turn % 2 == 0)
        total = sum(value * 3 % 7 for value in read["rates"].values())
        digest.update(f"{turn}{names}{total}".encode())
    return digest.digest()


def unit_us(seconds: float = 0.1) -> float:
    """Microseconds of processor time that the work takes now: the median of many times."""
    unit()
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.thread_time()
        unit()
        taken.append(time.thread_time() - began)
    return statistics.median(taken) * 1e6
