"""The trusted keys are a set in which every name means one key."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_samples import KEY, trust

from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.errors import ConfigError

OTHER = SigningKey.generate("es256")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_kid_means_the_key_of_that_id_or_name() -> None:
    keys = trust(KEY, OTHER)
    one, other = keys.keys
    assert keys.named(KEY.key_id) == keys.named("release0") == (one,)
    assert keys.named("release1") == (other,)
    assert keys.named(None) == (one, other)
    assert keys.named("") == keys.named("release") == keys.named("RELEASE0") == ()


def test_a_file_or_a_folder_can_be_trusted(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text(SigningKey.generate("eddsa").public_pem())
    (tmp_path / "b.pem").write_text(KEY.public_pem())
    assert [key.name for key in TrustedKeys.read(tmp_path).keys] == ["a", "b"]
    assert [key.name for key in TrustedKeys.read(tmp_path / "b.pem").keys] == ["b"]


def test_trusting_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no key \(\*\.pem, \*\.jwks\.json\)"):
        TrustedKeys.read(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        TrustedKeys.read(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no key is trusted"):
        TrustedKeys(())


def test_a_key_in_two_files_is_an_error_whatever_its_algorithm(tmp_path: Path) -> None:
    key = SigningKey.generate("rs256")
    for name in ("a.pem", "b.ps256.pem"):
        (tmp_path / name).write_text(key.public_pem())
    with pytest.raises(ConfigError, match=r"there in two files \(a\.pem and b\.ps256\.pem\)"):
        TrustedKeys.read(tmp_path)


def test_two_keys_of_one_name_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text(KEY.public_pem())
    (tmp_path / "a.ps256.pem").write_text(SigningKey.generate("ps256").public_pem())
    with pytest.raises(ConfigError, match=r"\(a\.pem and a\.ps256\.pem\) are both called a;"):
        TrustedKeys.read(tmp_path)


def test_no_key_may_go_by_the_id_of_another() -> None:
    one, other = trust(KEY, OTHER).keys
    for keys in ((one, replace(other, name=KEY.key_id)), (replace(other, name=KEY.key_id), one)):
        with pytest.raises(ConfigError, match=f"are both called {KEY.key_id}"):
            TrustedKeys(keys)


def test_an_alarm_is_one_sentence_that_says_what_to_do() -> None:
    one, other = trust(KEY, OTHER).keys
    keys = TrustedKeys((replace(one, revoked=NOON, revoked_reason="stolen"), other))
    assert keys.alarm(KEY.key_id, NOON) == (
        f"the key release0 ({KEY.key_id}), which signed the bundle in force, was revoked at "
        "2026-05-04T12:00:00Z: stolen; activate a bundle signed by a key that is valid"
    )
    assert keys.alarm(OTHER.key_id, NOON) is None
