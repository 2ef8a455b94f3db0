"""What is looked at from time to time: the key of what decides, and the bytes of what is kept."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopebound_engine.bundle.registry.history import History
from scopebound_engine.bundle.trust.keys import TrustedKeys
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.decision.problems import Problems
from scopebound_engine.decision.watch import AUDIT_SECONDS, TRUST_SECONDS, Watch
from tests.decision.small_bundles import ME, Node, packed

ONE, TWO = packed("1.0.0"), packed("2.0.0")


class Watched:
    """A node without threads, at a time that stands where it is put."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.engine = open_database(None, folder)
        migrate(self.engine)
        self.node = Node(self.engine, folder / "node")
        self.history = History(self.node.data_dir, monotonic=lambda: self.now)
        self.problems = Problems(time.time, lambda: self.history.problems)
        self.watch = Watch(
            self.node.active,
            self.node.registry,
            self.history,
            lambda: TrustedKeys.read(self.node.keys),
            self.problems,
            time.time,
            lambda: self.now,
        )

    def after(self, seconds: float) -> tuple[str, ...]:
        """What is wrong after a look so much later."""
        self.now += seconds
        self.watch.look()
        return self.problems.now()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    made.node.activate(made.node.store(ONE))
    made.node.follower.catch_up()
    yield made
    made.node.close()
    made.engine.dispose()


def test_a_key_that_is_revoked_raises_an_alarm_within_seconds_and_its_return_ends_it(
    watched: Watched,
) -> None:
    assert watched.after(0) == ()
    watched.node.revoke("the laptop was stolen")
    assert watched.after(TRUST_SECONDS - 0.1) == ()
    [alarm] = watched.after(0.1)
    assert "the laptop was stolen" in alarm
    (watched.node.keys / "key.toml").unlink()
    assert watched.after(TRUST_SECONDS) == ()


def test_a_key_that_is_taken_away_and_a_folder_that_cannot_be_read_are_named(
    watched: Watched,
) -> None:
    key = watched.node.keys / "key.pem"
    key.rename(key.with_name("elsewhere"))
    [alarm] = watched.after(0)
    assert "trusted keys cannot be read" in alarm
    assert watched.node.active.current is not None


def test_a_stray_file_among_the_keys_is_named_though_nothing_is_in_force(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    try:
        assert watched.after(0) == ()
        stray = watched.node.keys / "notes.txt"
        stray.write_text("")
        [alarm] = watched.after(TRUST_SECONDS)
        assert str(stray) in alarm
        stray.unlink()
        assert watched.after(TRUST_SECONDS) == ()
    finally:
        watched.node.close()
        watched.engine.dispose()


def test_every_row_and_copy_is_looked_at_every_minute(watched: Watched) -> None:
    two = watched.node.store(TWO)
    assert watched.after(0) == ()
    copy = watched.node.data_dir / two.bundle_path
    assert copy.read_bytes() == TWO
    copy.write_bytes(b"damaged")
    assert watched.after(AUDIT_SECONDS - 0.1) == ()
    [problem] = watched.after(0.1)
    assert str(copy) in problem
    assert copy.read_bytes() == TWO


def test_at_an_activation_the_bytes_are_looked_at_at_once(watched: Watched) -> None:
    two = watched.node.store(TWO)
    watched.after(0)
    (watched.node.data_dir / two.bundle_path).write_bytes(b"damaged")
    assert watched.after(1) == ()
    watched.node.activate(two)
    watched.node.follower.catch_up()
    (watched.node.data_dir / two.bundle_path).write_bytes(b"damaged again")
    assert len(watched.after(0)) == 1


def test_copies_of_removed_versions_go_with_the_next_audit(watched: Watched) -> None:
    two = watched.node.store(TWO)
    watched.after(0)
    watched.node.registry.remove(two.id, actor=ME)
    watched.after(AUDIT_SECONDS)
    assert not (watched.node.data_dir / two.bundle_path).exists()
