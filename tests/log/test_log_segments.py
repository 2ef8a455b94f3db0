from scopebound_engine.log import chain, segments
from scopebound_engine.log.segments import START, Position


def write(folder, first, lines, end=b""):
    folder.mkdir(exist_ok=True)
    body = b"".join(
        chain.compose("n", chain.GENESIS, seq, b"{}") for seq in range(first, first + lines)
    )
    segments.path(folder, first).write_bytes(body + end)


def seqs(folder, position=START):
    return [chain.split(line).seq for line, _ in segments.lines(folder, position)]


def test_a_journal_that_was_never_written_has_no_lines(tmp_path):
    assert segments.listing(tmp_path / "log") == []
    assert seqs(tmp_path / "log") == []


def test_segments_are_listed_by_their_first_line(tmp_path):
    for first in (12, 1, 100):
        write(tmp_path, first, 1)
    (tmp_path / "journal-7.jsonl").touch()
    (tmp_path / "torn-00000000000000000007").touch()
    assert segments.listing(tmp_path) == [1, 12, 100]


def test_lines_go_on_in_the_next_segment(tmp_path):
    write(tmp_path, 1, 3, b"\n")
    write(tmp_path, 4, 2, b"\n")
    write(tmp_path, 6, 1)
    assert seqs(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_reading_goes_on_from_any_place(tmp_path):
    write(tmp_path, 1, 3, b"\n")
    write(tmp_path, 4, 2)
    places = [place for _, place in segments.lines(tmp_path, START)]
    assert [place.seq for place in places] == [2, 3, 4, 5, 6]
    for read, place in enumerate(places, 1):
        assert seqs(tmp_path, place) == list(range(read + 1, 6))


def test_a_segment_that_is_over_may_have_no_next_one_yet(tmp_path):
    write(tmp_path, 1, 3, b"\n")
    assert seqs(tmp_path) == [1, 2, 3]
    (*_, (_, place)) = segments.lines(tmp_path, START)
    write(tmp_path, 4, 1)
    assert seqs(tmp_path, place) == [4]


def test_a_line_that_is_not_whole_is_left_for_later(tmp_path):
    line = chain.compose("n", chain.GENESIS, 3, b"{}")
    write(tmp_path, 1, 2, line[:-1])
    (*_, (_, place)) = segments.lines(tmp_path, START)
    assert place == Position(1, 2 * len(line), 3)
    write(tmp_path, 1, 3)
    assert seqs(tmp_path, place) == [3]


def test_lines_longer_than_what_is_read_at_once(tmp_path):
    record = b'{"a":"' + b"x" * (3 << 20) + b'"}'
    lines = [chain.compose("n", chain.GENESIS, seq, record) for seq in (1, 2)]
    segments.path(tmp_path, 1).write_bytes(b"".join(lines))
    assert [line + b"\n" for line, _ in segments.lines(tmp_path, START)] == lines
