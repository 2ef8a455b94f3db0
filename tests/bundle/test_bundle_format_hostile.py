"""Every hostile archive is refused with a finding that names the fault, signed or not."""

import gzip
import io
import re
import tarfile
import time

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.signature import verify
from scopebound_engine.errors import BundleError
from tests.bundle.bundle_samples import END, KEY, member, tar_gz, trust
from tests.bundle.hostile_archives import (
    ARCHIVES,
    RULE,
    Hostile,
    packed,
    plain_tar,
    signed_files,
    with_field,
)

TRUSTED = trust(KEY)


def refused(data: bytes) -> BundleError:
    with pytest.raises(BundleError) as caught:
        verify(data, TRUSTED)
    return caught.value


def test_the_archive_that_the_hostile_ones_are_made_from_is_accepted() -> None:
    assert verify(packed(), TRUSTED).manifest.name == "sample"


@pytest.mark.parametrize("hostile", ARCHIVES.values(), ids=ARCHIVES.keys())
def test_it_is_refused_by_name_in_time(hostile: Hostile) -> None:
    data = hostile.build()
    started = time.perf_counter()
    error = refused(data)
    assert time.perf_counter() - started < 1
    assert hostile.says in str(error)
    for finding in error.findings:
        assert finding.message
        assert finding.remedy or finding.step != "bytes", (
            f"nobody learns what to do about: {finding}"
        )
        assert str(finding).replace("…", "").isascii()
        assert str(finding).isprintable()


def test_a_bundle_cut_anywhere_is_refused() -> None:
    data = packed()
    for length in range(len(data)):
        says = "this is not gzip" if length < 3 else "ends early"
        assert says in str(refused(data[:length]))


def test_a_tar_cut_at_any_block_is_refused() -> None:
    tar = plain_tar()
    blocks = range(0, len(tar), 512)
    for length in {block + odd for block in blocks for odd in (0, 1, 511)} - {len(tar)}:
        assert {finding.step for finding in refused(gzip.compress(tar[:length])).findings} == {
            "bytes"
        }


def test_a_bundle_inside_of_a_bundle_does_not_lend_it_its_signature() -> None:
    inner = member(b"scopebound/inner.rego", packed())
    assert "scopebound/inner.rego: the file is not signed" in str(refused(packed(inner)))
    assert "the bundle is not signed" in str(refused(tar_gz(inner)))


@pytest.mark.parametrize("number", [b"", b"\0\0\0", b"       \0", b"\x80\0\0\0\x49\x96\x02\xd2"])
def test_owners_are_read_as_tars_write_them(number: bytes) -> None:
    odd = with_field(member(b"b.rego"), 108, number.ljust(8, b"\0"))
    assert archive.read(tar_gz(odd)) == {"b.rego": b"x"}


@seed(20240701)
@settings(max_examples=600, deadline=None)
@given(st.data())
def test_headers_that_are_accepted_mean_the_same_to_another_reader(data: st.DataObject) -> None:
    """Bytes of a header are changed, and its checksum made right again."""
    tar = bytearray(b"".join([member(b"./", b"", b"5"), member(RULE), member(b"b.rego")]) + END)
    start = data.draw(st.sampled_from([0, 512, 1536]))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.sampled_from(range(500)) | st.integers(124, 165))
        tar[start + position] = data.draw(st.sampled_from(b"\0 ./0157x\x80\xff-"))
    tar[start + 148 : start + 156] = b" " * 8
    tar[start + 148 : start + 156] = b"%06o\0 " % sum(tar[start : start + 512])
    try:
        ours = archive.read(gzip.compress(tar, 1))
    except BundleError:
        return
    with tarfile.open(fileobj=io.BytesIO(tar)) as other:
        read = [(info.name, other.extractfile(info)) for info in other if not info.isdir()]
        theirs = {
            re.sub(r"^(\.?/)+", "", name): file.read() for name, file in read if file is not None
        }
    assert len(read) == len(theirs)
    assert ours == theirs


# What is signed by a trusted key and still not to be read: the gate says where


SOURCES = {
    "a NUL": (b"package scopebound\n# \0\n", "a.rego:2:3: contains a NUL character"),
    "a byte order mark": (b"\xef\xbb\xbfpackage scopebound\n", "a.rego:1:1: begins with a byte"),
    "a CR alone": (b"package scopebound\rx := 1\n", "a.rego:1:19: a line ends with CR alone"),
    "no UTF-8": (b"package scopebound\n# \xff\n", "a.rego:2:3: not UTF-8"),
    "UTF-16": ("package scopebound\n".encode("utf-16"), "a.rego:1:1: not UTF-8"),
    "an overlong slash": (b"package scopebound # \xc0\xaf\n", "a.rego:1:22: not UTF-8"),
    "a surrogate": (b"package scopebound # \xed\xa0\x80\n", "a.rego:1:22: not UTF-8"),
    "an escaped letter": (b'package scopebound\nx := "\\u0041"\n', "a.rego:2:7: the escape"),
}


@pytest.mark.parametrize(("source", "says"), SOURCES.values(), ids=SOURCES.keys())
def test_sources_that_readers_disagree_on_are_refused_by_line(source: bytes, says: str) -> None:
    with pytest.raises(BundleError) as caught:
        gate.require(verify(packed(sources=signed_files(**{"a.rego": source})), TRUSTED))
    assert says in str(caught.value)
