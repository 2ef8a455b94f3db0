"""Keys are added and revoked so that a server sees all of a change or nothing."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_samples import b64

from scopebound_engine.bundle.trust import folder as trust_folder
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.errors import ConfigError, NotFoundError

KEY = SigningKey.generate("es256")
PS256 = SigningKey.generate("ps256")
NOON = datetime(2026, 5, 4, 12, 0, 0, 999, UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that trusts one key, without notes."""
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted/release.pem").write_text(KEY.public_pem())
    return tmp_path / "trusted"


def made(folder: Path, key: SigningKey, name: str = "made.pem") -> Path:
    file = folder.parent / name
    file.write_text(key.public_pem())
    return file


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


# add


def test_an_added_key_brings_notes_that_bind_them_together(folder: Path) -> None:
    other = SigningKey.generate("eddsa")
    key = trust_folder.add(folder, made(folder, other), not_after=NEW_YEAR)
    assert TrustedKeys.read(folder).keys[0] == key
    assert (key.name, key.key_id, key.not_after) == ("made", other.key_id, NEW_YEAR)
    assert (folder / "made.toml").read_text() == (
        f'id = "{other.key_id}"\nalgorithm = "EdDSA"\nnot_after = 2027-01-01T00:00:00Z\n'
    )
    (folder / "made.pem").write_text(SigningKey.generate("eddsa").public_pem())
    with pytest.raises(ConfigError, match="one of the two files was exchanged"):
        TrustedKeys.read(folder)


def test_the_first_key_makes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data/trusted"
    trust_folder.add(folder, made(tmp_path / "x", KEY), name="first")
    assert [key.name for key in TrustedKeys.read(folder).keys] == ["first"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("name", [None, "new", "new.ps256"])
def test_a_ps256_key_stays_one_under_another_name(folder: Path, name: str | None) -> None:
    key = trust_folder.add(folder, made(folder, PS256, "made.ps256.pem"), name=name)
    assert key.algorithm == "PS256"
    assert key.file == folder / ("new.pem" if name else "made.pem")


def test_notes_of_an_added_key_come_along(folder: Path) -> None:
    file = made(folder, PS256)
    notes = 'algorithm = "PS256"\nnot_before = 2026-01-01T00:00:00Z\nrevoked = true\nreason = "x"\n'
    file.with_suffix(".toml").write_text(notes)
    trust_folder.add(folder, file)
    assert (folder / "made.toml").read_text() == f'id = "{PS256.key_id}"\n{notes}'


def test_a_key_is_added_once(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(ConfigError, match=r"there already: release \(.*\) in .*release\.pem\."):
        trust_folder.add(folder, made(folder, KEY))
    assert content(folder) == before


def test_a_revoked_key_does_not_come_back(folder: Path) -> None:
    trust_folder.revoke(folder, "release", reason="stolen", at=NOON)
    with pytest.raises(ConfigError, match=r"there already: .*, and was revoked"):
        trust_folder.add(folder, made(folder, KEY), name="again")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("release", "release.pem is there already; choose another name"),
        ("../release", "is no name for a key"),
        ("/release", "is no name for a key"),
        (".release", "is no name for a key"),
        ("re lease", "is no name for a key"),
        ("release\n", "is no name for a key"),
        # One that begins with a dash is no name either.
        pytest.param(KEY.key_id, "are both called|is no name", id="the id of another key"),
    ],
)
def test_a_name_that_will_not_do_changes_nothing(folder: Path, name: str, message: str) -> None:
    before = content(folder)
    with pytest.raises(ConfigError, match=message):
        trust_folder.add(folder, made(folder, PS256), name=name)
    assert content(folder) == before


def test_a_time_that_ends_before_it_begins_changes_nothing(folder: Path) -> None:
    file = made(folder, PS256)
    file.with_suffix(".toml").write_text("not_before = 2027-01-01T00:00:00Z\n")
    before = content(folder)
    with pytest.raises(ConfigError, match="not_after must be later than not_before"):
        trust_folder.add(folder, file, not_after=NEW_YEAR)
    assert content(folder) == before


def test_nothing_is_added_to_a_folder_that_is_not_sound(folder: Path) -> None:
    (folder / "relaese.toml").write_text("revoked = true\n")
    with pytest.raises(ConfigError, match="speaks of no key"):
        trust_folder.add(folder, made(folder, PS256))


def test_a_private_key_is_not_added(folder: Path) -> None:
    file = folder.parent / "made.pem"
    file.write_text(PS256.private_pem())
    with pytest.raises(ConfigError, match="is a private key"):
        trust_folder.add(folder, file)


# revoke


@pytest.mark.parametrize("label", ["release", "release.pem", pytest.param(KEY.key_id, id="its id")])
def test_a_key_is_revoked_by_what_it_is_called(folder: Path, label: str) -> None:
    key = trust_folder.revoke(folder, label, reason='the "laptop" \\ é', at=NOON)
    assert TrustedKeys.read(folder).keys == (key,)
    assert str(key.revoked) == "2026-05-04 12:00:00+00:00"
    assert key.revoked_reason == 'the "laptop" \\ é'


def test_a_revocation_leaves_the_notes_that_were_there(folder: Path) -> None:
    notes = "# rotated each year\nnot_after = 2027-01-01T00:00:00Z # prolonged once"
    (folder / "release.toml").write_text(notes)
    trust_folder.revoke(folder, "release", reason="stolen", at=NOON)
    assert (folder / "release.toml").read_text() == (
        f'{notes}\nrevoked = 2026-05-04T12:00:00Z\nreason = "stolen"\n'
    )


def test_a_second_revocation_changes_nothing(folder: Path) -> None:
    first = trust_folder.revoke(folder, "release", reason="stolen", at=NOON)
    assert trust_folder.revoke(folder, "release", reason="again", at=NEW_YEAR) == first


def test_a_key_of_a_set_is_revoked_in_the_set(folder: Path) -> None:
    jwks = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": kid,
            "x": b64(key.private.public_key().public_bytes_raw()),
        }
        for kid in ("one", "two")
        if (key := SigningKey.generate("eddsa"))
    ]
    (folder / "set.jwks.json").write_text(json.dumps({"keys": jwks}))
    key = trust_folder.revoke(folder, "two", reason="é", at=NOON)
    assert (key.name, key.judge(NOON)[0]) == ("two", "revoked")
    revoked = {"revoked_at": 1_777_896_000, "reason": "é"}
    assert json.loads((folder / "set.jwks.json").read_text()) == {
        "keys": [jwks[0], {**jwks[1], "revoked": revoked}]
    }


def test_a_key_is_revoked_by_the_name_of_its_file_whatever_its_id(folder: Path) -> None:
    (folder / "release.toml").write_text('id = "default"\n')
    assert trust_folder.revoke(folder, "release", reason="x", at=NOON).name == "default"


def test_a_set_is_not_revoked_by_the_name_of_its_file(folder: Path) -> None:
    x = b64(SigningKey.generate("eddsa").private.public_key().public_bytes_raw())
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}
    (folder / "set.jwks.json").write_text(json.dumps({"keys": [jwk]}))
    for label in ("set.jwks.json", "set.jwks", "set"):
        with pytest.raises(NotFoundError):
            trust_folder.revoke(folder, label, reason="x", at=NOON)


def test_an_unknown_key_is_not_revoked(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r'is called "other"; there are: release \('):
        trust_folder.revoke(folder, "other", reason="x", at=NOON)


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "\x1b[2J", "a" * 201])
def test_a_reason_is_one_line_of_text(folder: Path, reason: str) -> None:
    before = content(folder)
    with pytest.raises(ConfigError, match="the reason must be one line of text"):
        trust_folder.revoke(folder, "release", reason=reason, at=NOON)
    assert content(folder) == before


def test_a_folder_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    # Not by taking rights away, which the superuser has all the same.
    (folder / "release.pem").rename(folder / ("r" * 250 + ".pem"))
    with pytest.raises(ConfigError, match="cannot be written: File name too long"):
        trust_folder.revoke(folder, "r" * 250, reason="x", at=NOON)
