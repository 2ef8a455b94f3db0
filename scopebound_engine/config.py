"""Configuration: one frozen object, read from the environment here and nowhere else."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from scopebound_engine.addresses import networks
from scopebound_engine.errors import ConfigError, InputError
from scopebound_engine.masking import pointers

PREFIX = "SCOPEBOUND_"
# Variables of the published client, which often shares an environment with the engine.
CLIENT_VARIABLES = frozenset({"SCOPEBOUND_API_KEY", "SCOPEBOUND_BASE_URL"})
# Variables that only this project's tests read.
TEST_PREFIX = "SCOPEBOUND_TEST_"

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries policies and manifest inside the package, a checkout has them at its top.
SHIPPED = _PACKAGE / "shipped" if (_PACKAGE / "shipped").is_dir() else _PACKAGE.parent


class Config(BaseModel):
    """All settings. A field's variable is SCOPEBOUND_ and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data_dir: Path = Path(".scopebound")
    database_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    threads: Annotated[int, Field(ge=4, le=512)] = 64
    evaluators: Annotated[int, Field(ge=1, le=32)] = 2
    bootstrap_api_key: SecretStr | None = None
    bundle_keys: Path | None = None
    policies: Path = SHIPPED / "policies"
    max_body_bytes: Annotated[int, Field(ge=1024, le=16 << 20)] = 1 << 20
    max_depth: Annotated[int, Field(ge=2, le=64)] = 16
    max_values: Annotated[int, Field(ge=16, le=20_000)] = 2_000
    max_keys: Annotated[int, Field(ge=8, le=2_000)] = 256
    evaluation_deadline_ms: Annotated[int, Field(ge=10, le=1_000)] = 250
    total_deadline_ms: Annotated[int, Field(ge=50, le=1_900)] = 1_000
    provision_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    drift_fit_seconds: Annotated[int, Field(ge=10, le=604_800)] = 3_600
    log_sync: Literal["timer", "each"] = "timer"
    log_sync_ms: Annotated[int, Field(ge=10, le=10_000)] = 200
    log_segment_bytes: Annotated[int, Field(ge=1 << 16, le=1 << 32)] = 64 << 20
    log_retention_days: Annotated[int, Field(ge=8, le=3_650)] = 90
    # JSON pointers into the Rego input, separated by blanks or commas.
    log_mask: str = ""
    checkpoint_url: str | None = None
    webhook_allow_http: bool = False
    # Networks, separated by blanks or commas, that are allowed although they are not global.
    webhook_networks: str = ""
    webhook_attempts: Annotated[int, Field(ge=1, le=20)] = 2
    webhook_timeout_ms: Annotated[int, Field(ge=100, le=30_000)] = 3_000
    backtest_records: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    backtest_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    backtest_max_deny_to_allow: Annotated[int, Field(ge=0)] = 0
    issuer: Annotated[str, Field(min_length=1, max_length=200)] = "scopebound-engine"
    audience: Annotated[str, Field(min_length=1, max_length=200)] = "scopebound"

    @field_validator("log_mask")
    @classmethod
    def _into_arguments(cls, mask: str) -> str:
        try:
            pointers(mask)
        except InputError as error:
            raise ValueError(error.detail) from error
        return mask

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks(text)
        return text

    @field_validator("data_dir", "bundle_keys", "policies")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().resolve()

    def environment(self) -> dict[str, str]:
        """The variables that ask for this configuration, its secrets in clear."""
        found: dict[str, str] = {}
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                found[PREFIX + field.upper()] = str(value)
        return found

    @property
    def authority(self) -> str:
        """Host and port as a URL has them; an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def api_key_file(self) -> Path:
        """Where the first start leaves the admin key that it makes."""
        return self.data_dir / "api-key"

    @property
    def trusted_keys_dir(self) -> Path:
        """The folder of public keys whose bundles are believed."""
        return self.bundle_keys or self.data_dir / "bundle-keys" / "trusted"


def from_env(environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration that the environment asks for.

    An empty variable counts as absent. Raises ConfigError: one sentence that names the variable.
    """
    given: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in CLIENT_VARIABLES:
            continue
        if variable.startswith(TEST_PREFIX):
            continue
        field = variable.removeprefix(PREFIX).lower()
        if field not in Config.model_fields:
            raise ConfigError(f"{variable} is not a setting of this program.{_nearest(field)}")
        if value:
            given[field] = value
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        variable = PREFIX + str(first["loc"][0]).upper()
        raise ConfigError(f"{variable} is wrong: {first['msg'].lower()}.") from None


def _nearest(field: str) -> str:
    near = difflib.get_close_matches(field, Config.model_fields, n=1)
    if near:
        return f" Did you mean {PREFIX}{near[0].upper()}?"
    return " The README lists them all; unset it, or correct its name."
