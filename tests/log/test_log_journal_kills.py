import json
import os
import random
import subprocess
import sys
import time

import pytest

from scopebound_engine.log.journal import Journal
from tests.chains import whole_chain

KILLS = int(os.environ.get("SCOPEBOUND_TEST_JOURNAL_KILLS", "8"))
SEED = int(os.environ.get("SCOPEBOUND_TEST_SEED", "6"))


def start(folder, name, acknowledged, sync):
    """A process of three threads that append all they can; what it acknowledges goes to a file."""
    settings = json.dumps({"sync": sync, "sync_seconds": 0.02, "segment_bytes": 1 << 19})
    command = [sys.executable, "-m", "tests.journal_process", folder, settings, name, "3"]
    return subprocess.Popen(command, stdout=acknowledged)


@pytest.mark.parametrize("sync", ["timer", "each"])
def test_whoever_is_killed_whenever_the_chain_is_whole_and_nothing_acknowledged_is_lost(
    tmp_path, sync
):
    source = random.Random(SEED)
    folder, answers = tmp_path / "log", tmp_path / "acknowledged"
    with answers.open("ab") as acknowledged:
        running = [start(folder, str(number), acknowledged, sync) for number in range(3)]
        try:
            for number in range(3, 3 + KILLS):
                time.sleep(source.uniform(0.02, 0.4))
                killed = running.pop(source.randrange(3))
                killed.kill()
                killed.wait()
                running.append(start(folder, str(number), acknowledged, sync))
            time.sleep(1)
        finally:
            for process in running:
                process.kill()
                process.wait()
    last = Journal(folder, "node-1")
    last.append(b'{"what":"last"}')  # repairs what the last one killed tore
    last.close()
    whats = [record.get("what") for record in whole_chain(folder)]
    lines = [json.loads(line) for line in answers.read_bytes().splitlines()]
    assert all(isinstance(seq, int) and whats[seq - 1] == what for what, seq in lines), [
        line for line in lines if not isinstance(line[1], int)
    ][:5]
    written = [what for what in whats if what is not None]
    assert len(set(written)) == len(written)
    assert len(lines) > 50
    print(f"seed {SEED}: {KILLS} kills, {len(lines)} acknowledged, lost 0, duplicated 0")
