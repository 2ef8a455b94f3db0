"""Configuration: the environment becomes one object, or one sentence."""

from pathlib import Path

import pytest

from scopebound_engine.config import Config, from_env
from scopebound_engine.errors import ConfigError

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_an_empty_environment_gives_the_defaults() -> None:
    config = from_env({"PATH": "/bin"})
    assert (config.host, config.port, config.workers) == ("127.0.0.1", 8080, 2)
    assert config.database_url is None


def test_an_empty_variable_counts_as_absent() -> None:
    assert from_env({"SCOPEBOUND_PORT": "", "SCOPEBOUND_DATABASE_URL": ""}).port == 8080


def test_variables_of_client_and_tests_are_known() -> None:
    from_env({"SCOPEBOUND_API_KEY": "x", "SCOPEBOUND_BASE_URL": "y", "SCOPEBOUND_TEST_X": "1"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCOPEBOUND_PORT", "http"),
        ("SCOPEBOUND_PORT", "0"),
        ("SCOPEBOUND_WORKERS", "-1"),
        ("SCOPEBOUND_EVALUATION_DEADLINE_MS", "1e9"),
        ("SCOPEBOUND_LOG_MASK", "/call_args/iban /claims/sub"),
        ("SCOPEBOUND_WEBHOOK_NETWORKS", "10.0.0.0/8 lan"),
        ("SCOPEBOUND_WEBHOOK_NETWORKS", "10.0.0.1/8"),
        ("SCOPEBOUND_NO_SUCH_THING", "1"),
        ("SCOPEBOUND_TRUSTED_KEYS_DIR", "/tmp"),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_its_name(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_env({variable: value})
    assert variable in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secrets_are_not_printed() -> None:
    config = from_env(
        {
            "SCOPEBOUND_BOOTSTRAP_API_KEY": "sb-very-secret",
            "SCOPEBOUND_DATABASE_URL": "postgresql://u:hunter2@h/d",
        }
    )
    assert "very-secret" not in repr(config)
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize("field", Config.model_fields)
def test_the_readme_lists_every_variable(field: str) -> None:
    assert f"| `SCOPEBOUND_{field.upper()}` |" in README


def test_a_configuration_is_made_again_from_its_variables(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "data_dir": tmp_path,
            "database_url": "postgresql://u:hunter2@h/d",
            "webhook_allow_http": True,
            "log_mask": "/call_args/iban",
        }
    )
    assert from_env(config.environment()) == config
    assert from_env(Config().environment()) == Config()
