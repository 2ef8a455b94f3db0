"""A folder of keys is read whole, or not at all where anything in it is not understood."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scopebound_engine.bundle.trust.files import key_of, keys_in
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.errors import ConfigError

KEY = SigningKey.generate("es256")
RSA = SigningKey.generate("rs256")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that trusts one key."""
    (tmp_path / "release.pem").write_text(KEY.public_pem())
    return tmp_path


def names(folder: Path) -> list[str]:
    return [key.name for key in keys_in(folder)]


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        list(keys_in(folder))
    return str(caught.value)


def test_the_notes_of_a_key_lie_beside_it(folder: Path) -> None:
    (folder / "release.toml").write_text(
        "not_before = 2026-01-01T00:00:00Z\nnot_after = 2027-01-01T00:00:00+01:00\n"
        'revoked = 2026-05-04T09:30:00Z\nreason = "stolen"\n'
    )
    (key,) = keys_in(folder)
    assert key == key_of(folder / "release.pem")
    assert key.key_id == KEY.key_id
    assert key.file == folder / "release.pem"
    assert [str(when) for when in (key.not_before, key.not_after, key.revoked)] == [
        "2026-01-01 00:00:00+00:00",
        "2027-01-01 00:00:00+01:00",
        "2026-05-04 09:30:00+00:00",
    ]
    assert key.revoked_reason == "stolen"


def test_a_key_without_notes_is_trusted_without_end(folder: Path) -> None:
    (key,) = keys_in(folder)
    assert (key.name, key.algorithm) == ("release", "ES256")
    assert key.not_before is key.not_after is key.revoked is None


def test_what_people_and_tools_put_beside_keys_is_passed_over(folder: Path) -> None:
    (folder / "release.key").write_text(KEY.private_pem())
    for name in ("README", "README.md", ".gitkeep", ".DS_Store", "..data"):
        (folder / name).write_text("not a key")
    (folder / "lost+found").mkdir()
    assert names(folder) == ["release"]


@pytest.mark.parametrize(
    "name", ["release.tolm", "release.toml.bak", "RELEASE.TOML", "other.crt", "jwks.json", "notes"]
)
def test_whatever_else_lies_there_is_an_error(folder: Path, name: str) -> None:
    (folder / name).write_text("revoked = true\n")
    assert f"{folder / name} is no *.pem, *.toml or *.jwks.json" in refused(folder)


def test_notes_without_their_key_are_an_error(folder: Path) -> None:
    (folder / "relaese.toml").write_text("revoked = true\n")
    assert "relaese.toml speaks of no key: there is no relaese.pem beside it" in refused(folder)


def test_files_can_be_links_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    (folder / "..2026_05_04").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026_05_04")
    for name, text in {"release.pem": KEY.public_pem(), "release.toml": "revoked = true\n"}.items():
        (folder / "..data" / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")
    (key,) = keys_in(folder)
    assert key.judge(key.revoked) == ("revoked", "was revoked")


@pytest.mark.parametrize("name", ["release.toml", "other.pem", "other.jwks.json"])
def test_a_link_to_nothing_is_an_error(folder: Path, name: str) -> None:
    (folder / name).symlink_to("nowhere")
    assert f"{folder / name} cannot be read" in refused(folder)


@pytest.mark.parametrize("name", ["release.toml", "other.pem", "other.jwks.json"])
def test_a_folder_in_place_of_a_file_is_an_error(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    assert "cannot be read: Is a directory" in refused(folder)


# The algorithm


def test_rsa_signs_by_what_the_notes_or_the_name_say(tmp_path: Path) -> None:
    for name, notes in {
        "a": None,
        "b": "RS256",
        "c": "PS256",
        "d.ps256": None,
        "e.ps256": "PS256",
    }.items():
        (tmp_path / f"{name}.pem").write_text(RSA.public_pem())
        if notes:
            (tmp_path / f"{name}.toml").write_text(f'algorithm = "{notes}"\n')
    assert [key.algorithm for key in keys_in(tmp_path)] == [
        "RS256",
        "RS256",
        "PS256",
        "PS256",
        "PS256",
    ]


@pytest.mark.parametrize("algorithm", ["PS256", "EdDSA", "es256", "HS256", "none"])
def test_an_algorithm_that_does_not_fit_the_key_is_an_error(folder: Path, algorithm: str) -> None:
    (folder / "release.toml").write_text(f'algorithm = "{algorithm}"\n')
    assert f"holds a key that signs by ES256, not by {algorithm}" in refused(folder)


def test_a_name_and_notes_that_disagree_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.ps256.pem").write_text(RSA.public_pem())
    (tmp_path / "a.ps256.toml").write_text('algorithm = "RS256"\n')
    assert "is named .ps256, but algorithm says RS256" in refused(tmp_path)


# The id


def test_the_id_is_what_signatures_call_the_key(folder: Path) -> None:
    (folder / "release.toml").write_text('id = "arn:aws:kms:eu-central-1:1:key/2"\n')
    (key,) = keys_in(folder)
    assert key.labels == {KEY.key_id, "arn:aws:kms:eu-central-1:1:key/2"}


def test_a_thumbprint_as_id_leaves_the_name_as_it_is(folder: Path) -> None:
    (folder / "release.toml").write_text(f'id = "{KEY.key_id}"\n')
    assert names(folder) == ["release"]


def test_the_thumbprint_of_another_key_as_id_is_an_error(folder: Path) -> None:
    (folder / "release.toml").write_text(f'id = "{RSA.key_id}"\n')
    assert f"another key than release.pem holds, {KEY.key_id}" in refused(folder)


# The PEM file


@pytest.mark.parametrize("content", [b"", b"secret", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_what_is_no_key_is_an_error(folder: Path, content: bytes) -> None:
    (folder / "a.pem").write_bytes(content)
    assert "a.pem holds no public key" in refused(folder)


def test_a_private_key_among_the_trusted_is_an_error(folder: Path) -> None:
    (folder / "a.pem").write_text(SigningKey.generate("es256").private_pem())
    assert "a.pem is a private key" in refused(folder)


def test_a_file_with_two_keys_is_an_error(folder: Path) -> None:
    (folder / "release.pem").write_text(KEY.public_pem() + RSA.public_pem())
    assert "more than one key" in refused(folder)


def test_a_key_of_a_kind_that_signs_nothing_is_an_error(folder: Path) -> None:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    (folder / "a.pem").write_bytes(
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert "a.pem holds a key on the curve secp384r1. Use P-256" in refused(folder)
