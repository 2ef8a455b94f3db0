"""The tar reader takes what real tars write and refuses what readers could disagree on."""

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from bundle_samples import END, files, header, member, pax, tar_gz
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.archive import Limits
from scopebound_engine.errors import ArchiveError

RULE = b"scopebound/main.rego"


def refused(data: bytes, limits: Limits = archive.LIMITS) -> str:
    with pytest.raises(ArchiveError) as caught:
        archive.read(data, limits)
    assert caught.value.findings
    assert all(finding.step == "bytes" and finding.message for finding in caught.value.findings)
    return str(caught.value)


def lay_out(folder: Path) -> Path:
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tar(*arguments: str | Path) -> bytes:
    run = subprocess.run(
        ["tar", "-czf", "-", *map(str, arguments)], capture_output=True, check=True
    )
    return run.stdout


# Written by others


@pytest.mark.parametrize("kind", ["gnu", "oldgnu", "pax", "posix", "ustar"])
def test_what_the_systems_tar_writes_is_read(tmp_path: Path, kind: str) -> None:
    data = tar(f"--format={kind}", "-C", lay_out(tmp_path), ".")
    assert archive.read(data) == files()


def test_absolute_names_as_opa_writes_them_are_read() -> None:
    assert archive.read(tar_gz(member(b"/" + RULE))) == {RULE.decode(): b"x"}


def test_pax_records_of_times_and_extended_attributes_are_passed_over() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as out:
        info = tarfile.TarInfo("./" + RULE.decode())
        info.mtime, info.size = 1.5, 1
        info.pax_headers = {
            "LIBARCHIVE.xattr.com.apple.provenance": "AQIA",
            "SCHILY.xattr.com.apple.quarantine": "0081;",
            "LIBARCHIVE.creationtime": "1700000000.5",
            "uname": "jürgen",
        }
        out.addfile(info, io.BytesIO(b"x"))
    assert archive.read(buffer.getvalue()) == {RULE.decode(): b"x"}


def test_names_in_two_parts_are_joined_in_ustar() -> None:
    assert list(archive.read(tar_gz(member(b"main.rego", prefix=b"./scopebound")))) == [
        RULE.decode()
    ]


def test_what_gnu_keeps_in_place_of_a_prefix_is_no_part_of_the_name() -> None:
    gnu = member(RULE, magic=b"ustar  \0", prefix=b"15300354123\x00")
    assert list(archive.read(tar_gz(gnu))) == [RULE.decode()]


# The gzip layer


def test_two_gzip_members_are_refused() -> None:
    assert "follows the end of the gzip" in refused(
        tar_gz(member(RULE)) + tar_gz(member(b"b.rego"))
    )


@pytest.mark.parametrize("extra", [b"\0", b"\n", b"\x1f\x8b"])
def test_anything_after_the_gzip_data_is_refused(extra: bytes) -> None:
    assert "follows the end of the gzip" in refused(tar_gz(member(RULE)) + extra)


def test_a_bomb_is_not_inflated_past_the_cap() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    assert len(bomb) < 1 << 17
    assert "inflates to more than 8388608 bytes" in refused(bomb)


def test_an_archive_of_exactly_the_cap_is_read() -> None:
    data = tar_gz(member(RULE))
    assert archive.read(data, Limits(inflated_bytes=2048))
    assert "inflates to more than 2047" in refused(data, Limits(inflated_bytes=2047))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not gzip"),
        (b"PK\x03\x04", "not gzip"),
        (tar_gz(member(RULE))[:-1], "ends early"),
        (tar_gz(member(RULE))[:40], "ends early"),
        (tar_gz(member(RULE))[:-8] + bytes(8), "damaged"),
        (gzip.compress(b"", mtime=0), "has no end"),
    ],
)
def test_damaged_gzip_is_refused(data: bytes, message: str) -> None:
    assert message in refused(data)


# The tar layer


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (b"1", "a hard link"),
        (b"2", "a symbolic link"),
        (b"3", "a character device"),
        (b"4", "a block device"),
        (b"6", "a FIFO"),
        (b"7", "a contiguous file"),
        (b"S", "a sparse file"),
        (b"L", "a GNU long name"),
        (b"K", "a GNU long link name"),
        (b"V", "a volume label"),
        (b"Z", "an entry of kind b'Z'"),
    ],
)
def test_only_regular_files_are_taken(kind: bytes, message: str) -> None:
    text = refused(tar_gz(member(RULE), member(b"scopebound/b.rego", b"", kind)))
    assert f"scopebound/b.rego: {message}" in text
    assert "tar --format=ustar" in text


@pytest.mark.parametrize("kind", [b"x", b"g"])
@pytest.mark.parametrize("keyword", ["path", "linkpath", "size", "GNU.sparse.name", "hdrcharset"])
def test_pax_records_that_change_the_member_are_refused(kind: bytes, keyword: str) -> None:
    records = pax(mtime="1.5", **{keyword: "7"})
    text = refused(tar_gz(member(b"PaxHeaders/x", records, kind), member(RULE)))
    assert f"pax records change how a file is read: {keyword}" in text


@pytest.mark.parametrize(
    "records",
    [b"x", b"0 a=\n", b"99 mtime=1\n", b"5 mtime=1\n", b"7 mtime\n", b"999999999999 a=b\n", b"\0"],
)
def test_damaged_pax_records_are_refused(records: bytes) -> None:
    assert "a damaged record" in refused(tar_gz(member(b"h", records, b"x"), member(RULE)))


def test_a_hundred_thousand_pax_records_are_read_in_linear_time() -> None:
    records = pax(comment="a") * 100_000
    assert archive.read(tar_gz(member(b"h", records, b"x"), member(RULE)))


def test_folders_are_passed_over_unless_they_hold_something() -> None:
    assert archive.read(tar_gz(member(b"./", b"", b"5"), member(RULE)))
    assert "folder entry has content" in refused(tar_gz(member(b"a/", b"x", b"5"), member(RULE)))


def test_data_after_the_end_of_the_tar_is_refused() -> None:
    text = refused(tar_gz(member(RULE), end=END + member(b"hidden.rego") + END))
    assert "follows the end of the tar" in text


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1023)])
def test_a_tar_without_its_end_is_refused(end: bytes) -> None:
    assert "has no end" in refused(tar_gz(member(RULE), end=end))


def test_zeros_after_the_end_are_padding() -> None:
    assert archive.read(tar_gz(member(RULE), end=bytes(10240)))


def test_a_member_longer_than_the_archive_is_refused() -> None:
    assert "ends inside" in refused(tar_gz(header(RULE, 100_000)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"checksum": b"000001\0 "}, "checksum of the header at byte 0"),
        ({"checksum": b"        "}, "not octal"),
        ({"size": b"-0000000001\0"}, "not octal"),
        ({"size": b"\x80" + bytes(10) + b"\x01"}, "not octal"),
        ({"size": b"0000000001 9"}, "not octal"),
        ({"magic": bytes(8)}, "no ustar, pax or GNU header"),
    ],
)
def test_a_header_that_is_not_exact_is_refused(fields: dict[str, bytes], message: str) -> None:
    assert message in refused(tar_gz(member(RULE, **fields)))


# Mutations


@seed(20240501)
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_refused_or_says_the_same(data: st.DataObject) -> None:
    whole = archive.write(files())
    position = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(whole)
    damaged[position] ^= 1 << bit
    try:
        found = archive.read(bytes(damaged))
    except ArchiveError:
        return
    # Only bits that carry nothing may be free: time and system in the gzip header, and padding.
    assert found == files()


@seed(20240502)
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_tar_blocks_are_refused_or_read_but_never_crash(data: st.DataObject) -> None:
    whole = bytearray(b"".join([member(b"./", b"", b"5"), member(RULE), member(b"b.rego")]) + END)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position] = data.draw(st.integers(0, 255))
    try:
        found = archive.read(gzip.compress(bytes(whole)))
    except ArchiveError:
        return
    assert found.keys() == {RULE.decode(), "b.rego"}


@seed(20240503)
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2048))
def test_any_bytes_are_refused_and_never_crash(content: bytes) -> None:
    refused(content)
    refused(gzip.compress(content))
