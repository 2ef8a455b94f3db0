"""Fixtures of the tests about bundles."""

import pytest
from sqlalchemy import Engine

from scopebound_engine.bundle.registry.registry import Registry
from tests.bundle.registry_samples import NOON


@pytest.fixture
def registry(database: Engine) -> Registry:
    return Registry(database, lambda: NOON)
