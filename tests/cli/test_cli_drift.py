"""`drift` as an operator types it: baselines in the database, and the plot."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from scopebound_engine.cli.drift import drift
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.errors import ConfigError, NotFoundError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore
from scopebound_engine.session.drift.baselines import Baselines
from tests.ended import store_ended
from tests.servers import environment


class Shell:
    """Runs `drift` with a data folder and a database."""

    def __init__(self, data_dir: Path, database_url: str | None) -> None:
        settings = {"database_url": database_url} if database_url else {}
        self.env = environment(data_dir, **settings)
        data_dir.mkdir()
        self.engine = open_database(database_url, data_dir)
        migrate(self.engine)

    def role(self, name: str, *tools: str) -> Role:
        fields = parse(RoleFields, {"name": name, "allowed_tools": list(tools)})
        return RoleStore(self.engine, time.time).create(fields)

    def run(self, *arguments: str) -> Result:
        """Raises what the command raises."""
        return CliRunner(env=self.env).invoke(drift, arguments, catch_exceptions=False)

    def __call__(self, *arguments: str) -> list[str]:
        """The lines it prints."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()


@pytest.fixture
def shell(tmp_path: Path, database_url: str | None) -> Iterator[Shell]:
    made = Shell(tmp_path / "data", database_url)
    yield made
    made.engine.dispose()


def usual(engine: Engine, role: Role, sessions: int) -> None:
    store_ended(engine, role.id, [{"read": 30, "mail": 1}] * sessions)


def test_each_role_is_fitted_or_says_what_it_waits_for(shell: Shell) -> None:
    usual(shell.engine, shell.role("reader", "read", "mail", "purge"), 20)
    usual(shell.engine, shell.role("beginner", "read"), 7)
    first, second, *table = shell("fit", "--all")
    assert first.startswith("beginner: not enough sessions yet: 7 of 20; ")
    assert second.startswith("reader: 20 sessions, 620 calls, concentration ")
    assert [line.split() for line in table] == [
        ["read", "90.91%"],
        ["mail", "3.03%"],
        ["purge", "3.03%"],
        ["all", "others", "3.03%"],
    ]


def test_roles_are_named_by_name_or_uuid_and_shown_with_what_would_be_noticed(
    shell: Shell,
) -> None:
    role = shell.role("reader", "read", "mail")
    usual(shell.engine, role, 20)
    assert shell("show", "reader")[0].startswith("reader: 20 sessions have ended")
    fitted = shell("fit", "reader", role.id)
    assert fitted[: len(fitted) // 2] == fitted[len(fitted) // 2 :]
    shown = shell("show", role.id)
    assert shown[: len(fitted) // 2] == fitted[: len(fitted) // 2]
    assert "- a session that only calls mail would be denied at call 10" in shown


def test_json_is_what_the_api_answers(shell: Shell) -> None:
    role = shell.role("reader", "read", "mail")
    usual(shell.engine, role, 20)
    (fitted,) = json.loads("\n".join(shell("fit", "reader", "--json")))
    assert (fitted["role"], fitted["role_id"], fitted["ready"]) == ("reader", role.id, True)
    stored = Baselines(shell.engine, time.time).newest(role.id)
    assert stored is not None
    assert fitted["baseline"]["id"] == stored.id
    assert json.loads("\n".join(shell("show", "reader", "--json"))) == fitted


def test_a_role_that_is_not_there_is_an_error(shell: Shell) -> None:
    with pytest.raises(NotFoundError, match="no role named 'nobody'"):
        shell("fit", "nobody")
    with pytest.raises(NotFoundError, match="no role with the id"):
        shell("show", "3bcedc38-a87a-4c2a-bc50-7693cb90af2d")


@pytest.mark.parametrize("arguments", [["fit"], ["fit", "--all", "reader"]])
def test_which_roles_is_said_in_one_way(shell: Shell, arguments: list[str]) -> None:
    result = shell.run(*arguments)
    assert result.exit_code == 2
    assert "name the roles, or say --all" in result.stderr


def plotted(*arguments: str) -> Result:
    return CliRunner().invoke(drift, ["plot", *arguments], catch_exceptions=False)


def test_a_plot_shows_three_worlds_and_its_numbers_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "drift.svg"
    result = plotted("--out", str(file))
    assert result.exit_code == 0
    picture = file.read_text()
    assert "<svg" in picture
    for text in (
        *("concentration 5 (", "concentration 30 (", "concentration ∞ ("),
        *("sessions of the baseline", "rare tools only", "all tools alike", "ln(1/0.001)"),
    ):
        assert f"<!-- {text}" in picture
    _, _, *rows, _ = result.stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["5", "30", "∞"]
    again = tmp_path / "again.svg"
    assert plotted("--out", str(again)).exit_code == 0
    assert again.read_bytes() == file.read_bytes()


def test_another_seed_is_another_plot_and_png_is_written_too(tmp_path: Path) -> None:
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    for seed, file in enumerate(files):
        assert plotted("--out", str(file), "--seed", str(seed)).exit_code == 0
        assert file.read_bytes().startswith(b"\x89PNG")
    assert files[0].read_bytes() != files[1].read_bytes()


def test_other_kinds_of_files_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    result = plotted("--out", str(tmp_path / "drift.pdf"))
    assert result.exit_code == 2
    assert "must end in .svg or .png" in result.stderr


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/drift\.svg cannot be written"):
        plotted("--out", str(tmp_path / "nowhere/drift.svg"))


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; "
        "from scopebound_engine.cli.main import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "drift", "plot", "--out", "drift.svg"],
        cwd=tmp_path,
        env=environment(tmp_path / "data"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "pip install -e '.[plot]'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
