"""The stages of a request as rows, and what a missing load generator is told."""

import pytest

from tests.bench import wrk
from tests.bench.stages import STAGES, shares


def test_what_no_stage_took_is_the_rest() -> None:
    measured = {"token": 10e-6, "state": 50e-6, "facts": 40e-6, "policy": 500e-6, "log": 100e-6}
    rows = shares(1000e-6, measured)
    assert [row["stage"] for row in rows] == list(STAGES)
    assert rows[0]["us"] == pytest.approx(1000)
    assert rows[-1]["us"] == pytest.approx(300)
    assert sum(row["share"] for row in rows[1:]) == pytest.approx(1)


def test_without_wrk_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        wrk.require()
