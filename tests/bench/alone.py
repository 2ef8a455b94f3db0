"""What a call cannot cost less than: its input given to the engine, and the policy evaluated.

Measured in a process of its own, `python -m tests.bench.alone`, because the Rego engine and google-
re2, which whoever measures may have loaded, abort when they share one.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scopebound_engine.bundle.format import content
from scopebound_engine.bundle.format.manifest import Manifest

_BATCH = 20


def alone_us(files: Mapping[str, bytes], facts: Mapping[str, Any], seconds: float) -> float:
    """Microseconds of processor time that a bundle's evaluation of these facts takes by itself.

    On every processor of the machine at once, as at a service's peak: those that share a core are
    slower together than each would be beside an idle one.
    """
    asked = {
        "modules": list(content.modules(files, tests=False).items()),
        "data": content.data(files),
        "entrypoint": Manifest.of(files).entrypoint,
        "facts": facts,
        "seconds": seconds,
    }
    processors = os.cpu_count() or 1
    with ThreadPoolExecutor(processors) as threads:
        return statistics.mean(threads.map(_asked, [json.dumps(asked).encode()] * processors))


def _asked(document: bytes) -> float:
    command = [sys.executable, "-m", "tests.bench.alone"]
    said = subprocess.run(command, input=document, check=True, stdout=subprocess.PIPE).stdout
    return float(json.loads(said))


def main() -> None:
    """Answer what `alone_us` asks on standard input."""
    from scopebound_engine.rego.engine import compile_program
    from scopebound_engine.rego.program import Program

    asked = json.load(sys.stdin)
    modules = tuple((path, text) for path, text in asked["modules"])
    compiled = compile_program(Program(modules, asked["data"], asked["entrypoint"]))
    taken: list[float] = []
    until = time.perf_counter() + asked["seconds"]
    while time.perf_counter() < until or len(taken) < 3:
        began = time.thread_time()
        for _ in range(_BATCH):
            outcome = compiled.evaluate(asked["facts"])
        taken.append((time.thread_time() - began) / _BATCH)
    assert outcome.allow, outcome
    print(json.dumps(statistics.median(taken) * 1e6))


if __name__ == "__main__":
    main()
