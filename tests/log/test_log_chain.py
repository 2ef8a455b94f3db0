import hashlib
import random

import pytest

from scopebound_engine import strict_json
from scopebound_engine.errors import LineError
from scopebound_engine.log import chain


def record(random_source: random.Random) -> bytes:
    return strict_json.dumps({"text": "ä\n\"'" * random_source.randrange(2_000)})


def test_a_line_is_canonical_json_of_its_chain_and_record():
    line = chain.compose("node-ä", chain.GENESIS, 7, b'{"a":1}')
    assert line.endswith(b"}\n")
    assert strict_json.dumps(strict_json.loads(line[:-1])) == line[:-1]
    assert chain.split(line) == chain.Link("node-ä", chain.GENESIS, 7, b'{"a":1}')


def test_split_gives_back_what_was_composed():
    source = random.Random(6)
    for _ in range(200):
        body, seq = record(source), source.randrange(1, 10**12)
        link = chain.Link('a "node" \\ of {ours}', f"{source.getrandbits(256):064x}", seq, body)
        line = chain.compose(link.node, link.prev, link.seq, link.record)
        assert chain.split(line) == chain.split(line[:-1]) == link


@pytest.mark.parametrize("length", [0, 1, 2_046, 2_047, 2_048, 4_094, 9_999])
def test_the_hash_is_sha256_of_all_bytes_but_the_newline(length):
    line = b"x" * length
    assert chain.digest(line) == chain.digest(line + b"\n") == hashlib.sha256(line).hexdigest()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0" * 300,
        b'{"record":{}}',
        chain.compose("n", chain.GENESIS, 0, b"{}"),
        chain.compose("n", "A" * 64, 1, b"{}"),
        chain.compose("n", chain.GENESIS, 1, b"[]"),
        chain.compose("n", chain.GENESIS, 1, b"{}")[:-2],
        chain.compose("n", chain.GENESIS, 1, b"{}") * 2,
        b" " + chain.compose("n", chain.GENESIS, 1, b"{}"),
    ],
    ids=["empty", "zeros", "no-chain", "number-0", "upper-case", "array", "torn", "two", "blank"],
)
def test_bytes_that_are_no_line_are_refused(line):
    with pytest.raises(LineError, match="no line of a decision log"):
        chain.split(line)
