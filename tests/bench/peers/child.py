"""A peer in process has a process for itself: Rego engines and google-re2 must not share one.

Run as `python -m tests.bench.peers.child MODULE:FUNCTION`. It reads the Rego inputs of the
questions, a line of JSON, then rounds, `{"question": …, "seconds": …}` each, and answers Figures.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from tests.bench.peers.measuring import Figures, measured
from tests.bench.peers.question import Round, questions
from tests.costs import cpu_seconds
from tests.processes import children


@contextmanager
def started(peer: str, facts: Mapping[str, Any]) -> Iterator[Round]:
    """Measures a peer, `MODULE:FUNCTION` of this package, in a child while the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.peers.child", peer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout
        print(json.dumps(facts), file=asked, flush=True)

        def measure(question: str, seconds: float) -> Figures:
            print(json.dumps({"question": question, "seconds": seconds}), file=asked, flush=True)
            answer = answers.readline()
            if not answer:
                raise RuntimeError(f"the process of {peer} ended; what it said stands above")
            return Figures(**json.loads(answer))

        yield measure
        asked.close()


def main() -> None:
    """Be the child."""
    module, _, function = sys.argv[1].partition(":")
    decide = getattr(importlib.import_module(f"tests.bench.peers.{module}"), function)()
    asked = questions(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        wanted = json.loads(line)
        question = asked[wanted["question"]]
        figures = measured(lambda question=question: decide(question), _spent, wanted["seconds"])
        print(json.dumps(asdict(figures)), flush=True)


def _spent() -> float:
    below = sum(map(cpu_seconds, children(os.getpid())))
    return time.process_time() + below


if __name__ == "__main__":
    main()
