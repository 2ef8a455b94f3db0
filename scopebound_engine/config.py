"""Configuration: one frozen object, read from the environment here and nowhere else."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from scopebound_engine.errors import ConfigError

PREFIX = "SCOPEBOUND_"
# Variables of the published client, which often shares an environment with the engine.
CLIENT_VARIABLES = frozenset({"SCOPEBOUND_API_KEY", "SCOPEBOUND_BASE_URL"})
# Variables that only this project's tests read.
TEST_PREFIX = "SCOPEBOUND_TEST_"

_CHECKOUT = Path(__file__).resolve().parents[1]
_SHIPPED = Path(__file__).resolve().parent / "shipped"
# A wheel carries the policies inside the package, a checkout has them at its top.
SHIPPED_POLICIES = _SHIPPED if _SHIPPED.is_dir() else _CHECKOUT


class Limits(BaseModel):
    """What a call may be at most; above it the call is denied as REQUEST_INVALID."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: Annotated[int, Field(ge=1024, le=16 << 20)] = 1 << 20
    depth: Annotated[int, Field(ge=2, le=64)] = 16
    values: Annotated[int, Field(ge=16, le=20_000)] = 2_000
    keys: Annotated[int, Field(ge=8, le=2_000)] = 256


class Config(BaseModel):
    """All settings. The variable of a field is SCOPEBOUND_ and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Path(".scopebound")
    database_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    threads: Annotated[int, Field(ge=2, le=512)] = 64
    evaluators: Annotated[int, Field(ge=1, le=32)] = 2
    bootstrap_api_key: SecretStr | None = None
    bundle_keys: Path | None = None
    policies: Path = SHIPPED_POLICIES / "policies"
    max_body_bytes: int = 1 << 20
    max_depth: int = 16
    max_values: int = 2_000
    max_keys: int = 256
    evaluation_deadline_ms: Annotated[int, Field(ge=10, le=1_000)] = 250
    total_deadline_ms: Annotated[int, Field(ge=50, le=1_900)] = 1_000
    issuer: Annotated[str, Field(min_length=1, max_length=200)] = "scopebound-engine"
    audience: Annotated[str, Field(min_length=1, max_length=200)] = "scopebound"

    @property
    def limits(self) -> Limits:
        """The input limits as the value that the parser takes."""
        return Limits(
            body_bytes=self.max_body_bytes,
            depth=self.max_depth,
            values=self.max_values,
            keys=self.max_keys,
        )
