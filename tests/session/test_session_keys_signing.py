import json
import stat
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Engine, delete, event, select, update

from scopebound_engine.database.engine import migrate, open_database, reading, transaction
from scopebound_engine.database.schema import signing_keys
from scopebound_engine.errors import ConfigError, DatabaseUnavailableError, SigningKeyError
from scopebound_engine.session.keys.folder import KeyFolder
from scopebound_engine.session.keys.node import NodeKeys
from scopebound_engine.session.keys.signing import LOOK_SECONDS, SigningKeys
from scopebound_engine.session.tokens import LEEWAY_SECONDS, MAX_LIFE_SECONDS
from scopebound_engine.times import moment
from tests.clocks import Clock
from tests.postgres import PostgresServer

NOW = 1_777_464_000.0
PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


@dataclass
class Nodes:
    """Nodes of one database, with the clocks they share."""

    engine: Engine
    folder: Path
    epoch: Clock = field(default_factory=lambda: Clock(NOW))
    monotonic: Clock = field(default_factory=lambda: Clock(100.0))
    reads: int = 0

    def start(self, name: str) -> SigningKeys:
        return SigningKeys.open(self.engine, self.folder / name, self.epoch, self.monotonic)

    def rotate(self, name: str) -> str:
        folder = KeyFolder(self.folder / name)
        return NodeKeys(self.engine, folder, self.epoch).rotate().kid

    def count_reads(self, seconds: float = 0.0) -> None:
        """Count them from now on; each takes so long."""

        def count(_c: object, _u: object, statement: str, *_: object) -> None:
            if "signing_keys" in statement:
                self.reads += 1
                time.sleep(seconds)

        event.listen(self.engine, "before_cursor_execute", count)


def withdraw_all(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(delete(signing_keys))


@pytest.fixture
def nodes(database: Engine, tmp_path: Path) -> Nodes:
    return Nodes(database, tmp_path)


@pytest.fixture
def a(nodes: Nodes) -> SigningKeys:
    return nodes.start("a")


def expire(engine: Engine, kid: str, at: float) -> None:
    with transaction(engine) as connection:
        row = update(signing_keys).where(signing_keys.c.kid == kid)
        connection.execute(row.values(expires_at=moment(at)))


def test_a_node_makes_a_key_and_keeps_it(nodes: Nodes, a: SigningKeys) -> None:
    kid, private = a.current()
    assert private.key_size == 2048
    assert a.public(kid) == private.public_key()
    assert nodes.start("a").current()[0] == kid
    assert len(a.jwks()["keys"]) == 1


def test_the_private_key_is_the_owners_alone(a: SigningKeys, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    (file,) = folder.glob("*.pem")
    assert file.stem == a.current()[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_private_key_is_not_in_the_database(database: Engine, a: SigningKeys) -> None:
    with reading(database) as connection:
        row = connection.execute(select(signing_keys)).one()
    assert "PRIVATE" not in str(row)
    assert row.not_before == moment(NOW)


def test_the_key_set_is_what_jwt_libraries_read(a: SigningKeys) -> None:
    kid, private = a.current()
    token = jwt.encode({"sub": "agent"}, private, "RS256", {"kid": kid})
    key = jwt.PyJWKSet.from_dict(a.jwks())[kid]
    assert jwt.decode(token, key, algorithms=["RS256"]) == {"sub": "agent"}
    (entry,) = a.jwks()["keys"]
    assert {entry[name] for name in ("kty", "use", "alg")} == {"RSA", "sig", "RS256"}
    assert set(entry) == {"kty", "use", "alg", "kid", "n", "e"}
    assert json.dumps(entry)


def test_every_node_finds_the_keys_of_all(nodes: Nodes, a: SigningKeys) -> None:
    kid, private = nodes.start("b").current()
    nodes.monotonic.now += 1
    assert a.public(kid) == private.public_key()
    assert {key["kid"] for key in a.jwks()["keys"]} == {kid, a.current()[0]}


def test_a_key_published_a_moment_ago_is_found_at_once(nodes: Nodes, a: SigningKeys) -> None:
    assert a.public("made-up") is None
    kid, private = nodes.start("b").current()
    assert a.public(kid) == private.public_key()


def test_calls_with_unknown_key_ids_that_come_together_share_a_look(nodes: Nodes) -> None:
    a = SigningKeys.open(nodes.engine, nodes.folder / "a", nodes.epoch)
    nodes.count_reads(seconds=0.2)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(a.public, map(str, range(16)))) == [None] * 16
    # One that was under way when most came, whose answer may be too old for them, and one for all.
    assert nodes.reads <= 3


def test_a_rotation_is_noticed_within_seconds(nodes: Nodes, a: SigningKeys) -> None:
    old, _ = a.current()
    new = nodes.rotate("a")
    assert a.current()[0] == old
    nodes.monotonic.now += LOOK_SECONDS
    assert a.current()[0] == new
    assert {key["kid"] for key in a.jwks()["keys"]} == {old, new}
    assert LOOK_SECONDS < 5


def test_what_one_process_signs_after_a_rotation_another_believes_at_once(
    nodes: Nodes, a: SigningKeys
) -> None:
    other = nodes.start("a")
    new = nodes.rotate("a")
    nodes.monotonic.now += LOOK_SECONDS
    kid, private = a.current()
    assert kid == new
    nodes.monotonic.now -= LOOK_SECONDS
    assert other.public(kid) == private.public_key()
    assert other.current()[0] == kid


def test_a_retiring_key_verifies_until_its_last_token_has_lapsed(
    nodes: Nodes, a: SigningKeys
) -> None:
    old, private = a.current()
    nodes.rotate("a")
    nodes.monotonic.now += LOOK_SECONDS
    nodes.epoch.now += MAX_LIFE_SECONDS + LEEWAY_SECONDS - 1
    assert a.public(old) == private.public_key()
    nodes.epoch.now += 1
    assert a.public(old) is None
    assert [key["kid"] for key in a.jwks()["keys"]] == [a.current()[0]]


def test_a_key_is_found_by_a_process_that_was_idle_during_two_rotations(
    nodes: Nodes, a: SigningKeys
) -> None:
    nodes.rotate("a")
    newest = nodes.rotate("a")
    nodes.monotonic.now += 3600
    assert a.current()[0] == newest


def test_a_file_that_will_not_do_does_not_disturb_a_running_process(
    nodes: Nodes, a: SigningKeys
) -> None:
    (nodes.folder / "a" / "keys" / "torn.pem").write_bytes(b"not a key")
    kid, private = nodes.start("b").current()
    nodes.monotonic.now += LOOK_SECONDS
    assert a.public(kid) == private.public_key()
    assert a.current()[0] != kid


def test_a_row_that_is_not_of_its_id_does_not_disturb_what_is_known(
    nodes: Nodes, a: SigningKeys
) -> None:
    kid, private = a.current()
    nodes.start("b")
    with transaction(nodes.engine) as connection:
        row = update(signing_keys).where(signing_keys.c.kid != kid)
        connection.execute(row.values(kid="x" * 43))
    nodes.monotonic.now += LOOK_SECONDS
    assert a.public(kid) == private.public_key()
    assert a.current()[0] == kid


def test_known_keys_are_verified_with_from_memory(nodes: Nodes, a: SigningKeys) -> None:
    nodes.count_reads()
    for _ in range(50):
        assert a.public(a.current()[0])
    assert nodes.reads == 0


def test_an_expired_key_verifies_nothing(nodes: Nodes, a: SigningKeys) -> None:
    kid, _ = a.current()
    expire(nodes.engine, kid, NOW + 60)
    nodes.monotonic.now += LOOK_SECONDS
    assert a.public(kid) is not None
    nodes.epoch.now += 60
    assert a.public(kid) is None
    assert a.jwks() == {"keys": []}


def test_a_withdrawn_key_is_found_out(nodes: Nodes, a: SigningKeys) -> None:
    kid, _ = a.current()
    withdraw_all(nodes.engine)
    nodes.monotonic.now += LOOK_SECONDS
    assert a.public(kid) is None
    with pytest.raises(SigningKeyError, match="was withdrawn"):
        a.current()


def test_a_node_whose_key_expires_makes_a_new_one_and_keeps_the_old_till_then(
    nodes: Nodes, a: SigningKeys
) -> None:
    old, _ = a.current()
    expire(nodes.engine, old, NOW + 60)
    nodes.epoch.now += 1
    again = nodes.start("a")
    assert again.current()[0] != old
    assert again.public(old) is not None


def test_a_key_is_published_again_in_a_new_database(nodes: Nodes, a: SigningKeys) -> None:
    withdraw_all(nodes.engine)
    again = nodes.start("a")
    assert again.current()[0] == a.current()[0]
    assert len(again.jwks()["keys"]) == 1


def start_node(url: str | None, database: Path, data_dir: Path) -> str:
    keys = SigningKeys.open(open_database(url, database), data_dir, lambda: NOW)
    return keys.current()[0]


def test_processes_that_start_at_once_agree_on_one_key(
    database: Engine, database_url: str | None, tmp_path: Path
) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as workers:
        args = [database_url] * 4, [tmp_path] * 4, [tmp_path / "a"] * 4
        assert len(set(workers.map(start_node, *args))) == 1
    assert len(list((tmp_path / "a" / "keys").glob("*.pem"))) == 1


@pytest.mark.parametrize(
    "pem",
    [
        b"not a key",
        ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, PLAIN),
        rsa.generate_private_key(65537, 1024).private_bytes(PEM, PKCS8, PLAIN),
    ],
    ids=["torn", "elliptic", "short"],
)
def test_a_key_file_that_will_not_do_is_named(nodes: Nodes, pem: bytes) -> None:
    file = nodes.folder / "a" / "keys" / "mine.pem"
    file.parent.mkdir(parents=True)
    file.write_bytes(pem)
    with pytest.raises(ConfigError, match=r"mine\.pem"):
        nodes.start("a")


def test_a_public_key_under_anothers_id_is_refused(nodes: Nodes, a: SigningKeys) -> None:
    with transaction(nodes.engine) as connection:
        connection.execute(update(signing_keys).values(kid="x" * 43))
    nodes.monotonic.now += 1
    with pytest.raises(ConfigError, match="not of this id"):
        a.public("x" * 43)


def test_while_the_database_is_away_known_keys_count_and_others_are_in_doubt(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    engine = open_database(own_postgres.url(), tmp_path)
    migrate(engine)
    nodes = Nodes(engine, tmp_path)
    a = nodes.start("a")
    own_postgres.stop()
    nodes.monotonic.now += LOOK_SECONDS
    kid, _ = a.current()
    assert a.public(kid) is not None
    assert a.jwks()["keys"]
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            a.public("made-up")
    own_postgres.start()
    nodes.monotonic.now += 1
    assert a.public("made-up") is None
    engine.dispose()
