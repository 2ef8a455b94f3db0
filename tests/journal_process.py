"""A process that appends to a journal: what its standard input tells it, or all it can.

    python -m tests.journal_process FOLDER SETTINGS   one record a line, each by its own thread
    python -m tests.journal_process FOLDER SETTINGS NAME THREADS   until it is killed

SETTINGS are the journal's, in JSON. Each answer is a JSON array: what was appended, and its number
or the error.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from scopebound_engine import strict_json
from scopebound_engine.errors import JournalError
from scopebound_engine.log.journal import Journal


def main(folder: str, settings: str, name: str = "", threads: str = "0") -> None:
    """Obey standard input, or append with so many threads."""
    journal = Journal(Path(folder), "node-1", **json.loads(settings))
    if not name:
        for line in sys.stdin:
            threading.Thread(target=append, args=(journal, json.loads(line))).start()
        return
    running = [
        threading.Thread(target=append_all, args=(journal, f"{name}/{number}"))
        for number in range(int(threads))
    ]
    for thread in running:
        thread.start()


def append_all(journal: Journal, name: str) -> None:
    """Append without end; the records have various sizes."""
    number = 0
    while True:
        append(journal, f"{name}/{number}", "x" * (number * 977 % 9_000))
        number += 1


def append(journal: Journal, what: Any, padding: str = "") -> None:
    """Append a record and say what came of it, in one write."""
    try:
        found: int | str = journal.append(strict_json.dumps({"what": what, "padding": padding}))
    except JournalError as error:
        found = str(error)
    os.write(1, strict_json.dumps([what, found]) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
