"""Fixtures of the tests about the log."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from scopebound_engine.log.shipper import Shipper
from tests.journals import NODE, Written


@pytest.fixture
def journal(tmp_path: Path) -> Written:
    return Written(tmp_path / "log")


@pytest.fixture
def shipper(database: Engine, journal: Written) -> Shipper:
    return Shipper(database, journal.folder, NODE)
