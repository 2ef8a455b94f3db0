"""The notes beside a key are believed to the letter, so every slip in them is an error."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from scopebound_engine.bundle.trust.notes import KeyNotes
from scopebound_engine.bundle.trust.trusted_key import TIME_UNKNOWN
from scopebound_engine.errors import ConfigError

FILE = Path("release.toml")


def test_every_field_may_be_given() -> None:
    text = """
    id = "release-2026"                  # what signatures call it
    algorithm = "PS256"
    not_before = 2026-01-01T00:00:00Z
    not_after = 2027-01-01 00:00:00.5-05:00
    revoked = 2026-05-04T09:30:00Z
    reason = "the laptop was \\"stolen\\""
    """
    assert KeyNotes.of(FILE, text) == KeyNotes(
        id="release-2026",
        algorithm="PS256",
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2027, 1, 1, 0, 0, 0, 500_000, timezone(timedelta(hours=-5))),
        revoked=datetime(2026, 5, 4, 9, 30, tzinfo=UTC),
        reason='the laptop was "stolen"',
    )


def test_every_field_may_be_absent() -> None:
    assert KeyNotes.of(FILE, "# nothing to say\n") == KeyNotes()


def test_a_revocation_may_leave_its_time_open() -> None:
    assert KeyNotes.of(FILE, "revoked = true").revoked == TIME_UNKNOWN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("revokd = true", "release.toml: 'revokd' is not known here. Did you mean revoked?"),
        ("Revoked = true", "release.toml: 'Revoked' is not known here. Did you mean revoked?"),
        ("expires = 2026-01-01T00:00:00Z", "'expires' is not known here. Known are id, algorithm"),
        ("[key]\nrevoked = true", "'key' is not known here"),
        ("revoked = false", "release.toml: revoked is false; take the line out"),
        ('revoked = "true"', "release.toml: revoked must be a date and time with its offset"),
        ("revoked = 1", "revoked must be a date and time"),
        ("revoked = 2026-05-04", "revoked must be a date and time"),
        ("revoked = 2026-05-04T09:30:00", "revoked must be a date and time with its offset"),
        ("not_before = 09:30:00", "not_before must be a date and time"),
        ("not_before = true", "not_before must be a date and time"),
        ('not_after = "2026-05-04T09:30:00Z"', "not_after must be .* without quotes"),
        ("not_after = 1777464000", "not_after must be a date and time"),
        ("id = 7", "id must be in quotes and one line of text, at most 200 characters"),
        ('id = ""', "id must be in quotes and one line of text"),
        ('id = " "', "id must be in quotes and one line of text"),
        ('id = "a\\u001b[2Jb"', "id must be in quotes and one line of text"),
        (f'id = "{"a" * 201}"', "id must be in quotes and one line of text, at most 200"),
        ("algorithm = []", "algorithm must be in quotes"),
        ('revoked = true\nreason = "a\\nb"', "reason must be in quotes and one line"),
        ('reason = "stolen"', "reason is that of a revocation; revoked is missing"),
        (
            "not_before = 2026-01-01T00:00:00Z\nnot_after = 2026-01-01T01:00:00+01:00",
            "not_after must be later than not_before",
        ),
        ("revoked = true\nrevoked = true", "release.toml is not TOML"),
        ("revoked: true", "release.toml is not TOML"),
        ("revoked", "release.toml is not TOML"),
    ],
)
def test_a_slip_is_an_error_that_names_file_and_field(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        KeyNotes.of(FILE, text)


def test_notes_that_are_not_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"revoked = true # \xff\n")
    with pytest.raises(ConfigError, match=r"a\.toml is not UTF-8 at byte 17"):
        KeyNotes.read(tmp_path / "a.toml")


def test_notes_that_are_gone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.toml cannot be read: No such file"):
        KeyNotes.read(tmp_path / "a.toml")
