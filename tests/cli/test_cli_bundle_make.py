"""`bundle` makes keys and bundles that a server accepts, and says in one sentence what is wrong."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.signature import SIGNATURES, verify
from scopebound_engine.bundle.trust.keys import TrustedKeys
from tests.cli.bundle_commands import MANIFEST, done, failed, refused, run

# keygen


@pytest.mark.parametrize(
    ("algorithm", "names"),
    [
        ("es256", {"mine.key", "mine.pem"}),
        ("rs256", {"mine.key", "mine.pem"}),
        ("ps256", {"mine.ps256.key", "mine.ps256.pem"}),
        ("eddsa", {"mine.key", "mine.pem"}),
    ],
)
def test_a_generated_pair_signs_and_is_trusted(work: Path, algorithm: str, names: set[str]) -> None:
    said = done("keygen", "--out", "new/keys", "--name", "mine", "--algorithm", algorithm)
    folder = work / "new/keys"
    assert {file.name for file in folder.iterdir()} == names
    (private,) = folder.glob("*.key")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert TrustedKeys.read(folder).keys[0].key_id in said
    done("build", "policies", "--key", private, "--out", "b.tgz")
    assert "by the trusted key" in done("verify", "b.tgz", "--trust", folder, "--signature-only")


@pytest.mark.parametrize("left", ["bundle.key", "bundle.pem"])
def test_no_key_is_overwritten(work: Path, left: str) -> None:
    for file in (work / "keys").iterdir():
        if file.name != left:
            file.unlink()
    before = (work / "keys" / left).read_bytes()
    assert "is not overwritten" in failed("keygen", "--out", "keys")
    assert (work / "keys" / left).read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_sentence(work: Path) -> None:
    (work / "file").write_text("")
    assert "cannot be written" in failed("keygen", "--out", "file/keys")


# build


def test_a_signed_build_is_named_after_its_manifest(work: Path) -> None:
    said = done("build", "policies", "--key", "keys/bundle.key")
    data = (work / "bundles/sample-1.2.0.tar.gz").read_bytes()
    bundle_read = verify(data, TrustedKeys.read(work / "keys"))
    assert bundle_read.checksum in said
    assert bundle_read.identity in said
    assert "sample 1.2.0" in said


def test_an_unsigned_build_is_reproducible_and_warns(work: Path) -> None:
    result = run("build", "policies", "--out", "one.tar.gz")
    assert "no server will accept it" in result.stderr
    done("build", "policies", "--out", "other.tar.gz")
    assert (work / "one.tar.gz").read_bytes() == (work / "other.tar.gz").read_bytes()
    assert SIGNATURES not in archive.read((work / "one.tar.gz").read_bytes())


def test_the_manifest_is_found_in_the_folder_beside_it_or_where_it_is_named(work: Path) -> None:
    other = {**MANIFEST, "version": "2.0.0"}
    (work / "other.json").write_text(json.dumps(other))
    assert "sample 2.0.0" in done("build", "policies", "--manifest", "other.json")
    (work / "policies/manifest.json").write_text(json.dumps({**MANIFEST, "version": "3.0.0"}))
    assert "sample 3.0.0" in done("build", "policies")


def test_a_build_that_fails_leaves_nothing(work: Path) -> None:
    (work / "policies/notes.txt").write_text("")
    text = refused("build", "policies", "--out", "out")
    assert "notes.txt: a file that has no place" in text
    assert not (work / "out").exists()


def test_a_missing_manifest_is_an_error(work: Path) -> None:
    (work / "manifest.json").unlink()
    assert "cannot be read: No such file" in refused("build", "policies")


# stage


def test_a_staged_folder_packed_by_tar_is_a_bundle(work: Path) -> None:
    said = done("stage", "policies", "rules", "--key", "keys/bundle.key")
    command = said.splitlines()[-1]
    assert command == "tar -czf bundle.tar.gz -C rules ."
    subprocess.run(command.split(), check=True)
    read = verify((work / "bundle.tar.gz").read_bytes(), TrustedKeys.read(work / "keys"))
    assert read.manifest.version == "1.2.0"
    done("build", "policies", "--key", "keys/bundle.key", "--out", "built.tgz")
    built = verify((work / "built.tgz").read_bytes(), TrustedKeys.read(work / "keys"))
    assert built.identity == read.identity


@pytest.mark.parametrize("place", ["policies", "manifest.json"])
def test_staging_needs_an_empty_place(work: Path, place: str) -> None:
    said = failed("stage", "policies", place, "--key", "keys/bundle.key")
    assert "not an empty folder" in said


# sign


def test_signing_puts_the_signature_in_and_replaces_another(work: Path) -> None:
    done("build", "policies", "--out", "b.tgz")
    done("keygen", "--out", "other")
    done("sign", "b.tgz", "--key", "other/bundle.key")
    done("sign", "b.tgz", "--key", "keys/bundle.key", "--out", "signed.tgz")
    assert verify((work / "b.tgz").read_bytes(), TrustedKeys.read(work / "other"))
    assert verify((work / "signed.tgz").read_bytes(), TrustedKeys.read(work / "keys"))


def test_what_is_no_bundle_is_not_signed(work: Path) -> None:
    (work / "b.tgz").write_bytes(b"zip")
    assert "not gzip" in refused("sign", "b.tgz", "--key", "keys/bundle.key")
    (work / "c.tgz").write_bytes(archive.write({"a.rego": b"package a"}))
    assert "no manifest" in refused("sign", "c.tgz", "--key", "keys/bundle.key")
    assert SIGNATURES not in archive.read((work / "c.tgz").read_bytes())
    done("build", "policies", "--out", "d.tgz")
    before = (work / "d.tgz").read_bytes()
    assert "holds no private key" in failed("sign", "d.tgz", "--key", "keys/bundle.pem")
    assert (work / "d.tgz").read_bytes() == before
    files = archive.read(before) | {"scopebound/data.json": b"{"}
    (work / "e.tgz").write_bytes(archive.write(files))
    said = refused("sign", "e.tgz", "--key", "keys/bundle.key")
    assert "scopebound/data.json: not JSON" in said
