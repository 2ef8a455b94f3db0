"""Files go into an archive and come out again; what is not of a bundle does neither."""

import subprocess
import tarfile
from pathlib import Path

import pytest
from bundle_samples import files, member, tar_gz

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


# Names and kinds of files


@pytest.mark.parametrize(
    "name",
    [
        b"../a.rego",
        b"/../a.rego",
        b"scopebound/../../a.rego",
        b"scopebound//a.rego",
        b"scopebound/./a.rego",
        b"Scopebound/a.rego",
        b"scopebound/A.rego",
        b"a.REGO",
        b"a b.rego",
        b"a\\b.rego",
        b"a\n.rego",
        b"\xc3\xa9.rego",
        b"\xff.rego",
        b".hidden/a.rego",
        b".rego",
        b"-a.rego",
        b"a.rego/",
        b"",
        b".",
        b"c:a.rego",
        b"x/.manifest",
        b"x/manifest.json",
        b"x/.signatures.json",
        b"signatures.json",
        b"x.manifest",
        b"a.json",
        b"adata.json",
        b"policy.wasm",
        b"plan.json",
        b"patch.json",
        b"readme.md",
        b"a.rego.bak",
    ],
)
def test_a_name_that_is_not_of_a_bundle_is_refused(name: bytes) -> None:
    text = refused(tar_gz(member(name), member(RULE)))
    assert text.isprintable() or set(text) - {"\n"} <= set(map(chr, range(32, 127))) | {"…"}


def test_refusals_say_what_to_do() -> None:
    text = refused(tar_gz(member(b"a/data.yaml"), member(b"a/._b.rego"), member(b"a/x.txt")))
    assert "a/data.yaml: YAML is not read here (write it as data.json)" in text
    assert "a/._b.rego: macOS put its own metadata" in text
    assert "COPYFILE_DISABLE=1" in text
    assert "a/x.txt: a file that has no place in a bundle (a bundle holds .rego," in text


def test_the_same_name_twice_is_refused_however_it_is_spelled() -> None:
    text = refused(tar_gz(member(RULE), member(b"./" + RULE), member(b"/" + RULE)))
    assert text.count("the file is there twice") == 2


def test_a_file_that_is_also_a_folder_is_refused() -> None:
    text = refused(tar_gz(member(b"a.rego"), member(b"a.rego/b.rego")))
    assert "a.rego/b.rego: a.rego is a file and a folder at once" in text


def test_limits_of_files_and_bytes_hold() -> None:
    limits = Limits(file_bytes=4, files=2, name_bytes=10)
    assert archive.read(tar_gz(member(b"a.rego", b"1234"), member(b"b.rego")), limits)
    assert "5 bytes, over the 4" in refused(tar_gz(member(b"a.rego", b"12345")), limits)
    assert "more than 10 bytes" in refused(tar_gz(member(b"abcdef.rego")), limits)
    three = [member(b"%c.rego" % letter) for letter in b"abc"]
    assert "more than 2 files" in refused(tar_gz(*three), limits)


def test_an_archive_without_files_is_refused() -> None:
    assert "holds no file" in refused(tar_gz(member(b"./", b"", b"5")))


def test_findings_are_bounded() -> None:
    text = refused(tar_gz(*[member(b"%d.txt" % n) for n in range(5_000)]))
    assert "the rest was not read" in text
    assert text.count("\n") < 200


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = refused(
        tar_gz(member(b"A.rego"), member(b"b.txt"), member(b"c.rego", b"", b"2"), end=b"")
    )
    assert text.count("\n") == 4


# Writing


def test_what_is_written_is_read_back_the_same() -> None:
    assert archive.read(archive.write(files())) == files()


def test_the_same_files_give_the_same_bytes() -> None:
    turned = dict(reversed(files().items()))
    assert archive.write(files()) == archive.write(turned)
    # Known bytes: gzip without time, name or operating system.
    assert archive.write(files())[:10] == bytes.fromhex("1f8b08000000000002ff")


def test_other_tars_read_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").write_bytes(archive.write(files()))
    subprocess.run(["tar", "-xzf", "b.tar.gz"], cwd=tmp_path, check=True)
    assert (tmp_path / RULE.decode()).read_bytes() == files()[RULE.decode()]
    with tarfile.open(tmp_path / "b.tar.gz") as opened:
        assert {(m.mode, m.mtime, m.uid, m.gid, m.uname) for m in opened} == {(0o644, 0, 0, 0, "")}


def test_long_names_are_written_in_two_parts() -> None:
    name = "/".join(["folder"] * 20) + "/rule.rego"
    assert archive.read(archive.write({name: b"x"})) == {name: b"x"}


@pytest.mark.parametrize("name", ["A.rego", "../a.rego", "a.txt", "a" * 150 + ".rego"])
def test_what_would_not_be_read_is_not_written(name: str) -> None:
    with pytest.raises(ArchiveError):
        archive.write({name: b"x"})
