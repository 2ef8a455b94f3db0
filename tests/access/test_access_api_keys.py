import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.database.engine import open_database, reading
from scopebound_engine.database.schema import api_keys
from scopebound_engine.errors import (
    AuthenticationError,
    ConfigError,
    ConflictError,
    DatabaseUnavailableError,
    InputError,
    NotFoundError,
)
from scopebound_engine.times import moment
from tests.clocks import Clock

ENFORCE = frozenset({"enforce"})
ADMIN = frozenset({"admin"})


@dataclass
class Node:
    """One node's store, and its clock."""

    engine: Engine
    clock: Clock = field(default_factory=Clock)

    def store(self) -> ApiKeyStore:
        return ApiKeyStore(self.engine, lambda: 1_777_464_000.0, monotonic=self.clock)


@pytest.fixture
def node(database: Engine) -> Node:
    return Node(database)


def test_a_key_is_shown_once_and_stored_as_its_hash(node: Node) -> None:
    key, secret = node.store().create("ci", ENFORCE, ("invoice-processor",))
    assert secret.startswith("sb-")
    assert len(secret) == 46  # 256 bits in base64url
    assert key.hint == secret[:8]
    with reading(node.engine) as connection:
        row = connection.execute(select(api_keys)).one()
    assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(row)


def test_a_secret_tells_its_key(node: Node) -> None:
    store = node.store()
    key, secret = store.create("ci", ENFORCE, ("invoice-processor",))
    store.create("other", frozenset({"admin"}))
    assert store.authenticate(secret) == key
    assert key.scopes == ENFORCE
    assert key.roles == ("invoice-processor",)
    assert key.created_at == moment(1_777_464_000.0)


def test_secrets_are_never_the_same(node: Node) -> None:
    store = node.store()
    assert len({store.create(f"k{n}", ENFORCE)[1] for n in range(5)}) == 5


@pytest.mark.parametrize("secret", ["", "sb-", "nothing", "sb-" + "x" * 43, "sb-\ud800", "sb-\0"])
def test_an_unknown_secret_is_refused(node: Node, secret: str) -> None:
    node.store().create("ci", ENFORCE)
    with pytest.raises(AuthenticationError, match="unknown or was revoked"):
        node.store().authenticate(secret)


def test_a_hash_is_not_a_secret(node: Node) -> None:
    _, secret = node.store().create("ci", ENFORCE)
    with pytest.raises(AuthenticationError):
        node.store().authenticate(hashlib.sha256(secret.encode()).hexdigest())


def test_a_revocation_counts_on_other_nodes_within_a_second(node: Node) -> None:
    here, there = node.store(), Node(node.engine).store()
    key, secret = here.create("ci", ENFORCE)
    here.authenticate(secret)
    revoked = there.revoke("ci")
    assert revoked.id == key.id
    assert revoked.revoked_at is not None
    node.clock.now += 0.95
    with pytest.raises(AuthenticationError):
        here.authenticate(secret)


def test_revoking_again_keeps_the_first_time_and_ids_come_before_names(node: Node) -> None:
    store = node.store()
    key, _ = store.create("one", ENFORCE)
    store.create(key.id, ENFORCE)
    first = store.revoke(key.id)
    assert first.name == "one"
    assert store.revoke(key.id) == first
    assert [each.revoked_at is None for each in store.list() if each.name != "one"] == [True]
    with pytest.raises(NotFoundError, match="'ghost'"):
        store.revoke("ghost")


def test_names_are_unique_and_stay_taken(node: Node) -> None:
    store = node.store()
    store.create("ci", ENFORCE)
    store.revoke("ci")
    with pytest.raises(ConflictError, match="'ci' exists already"):
        store.create("ci", ENFORCE)


@pytest.mark.parametrize("name", ["", "x" * 129, "line\nbreak", "Schlüssel"])
def test_unfit_names_are_refused(node: Node, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        node.store().create(name, ENFORCE)


@pytest.mark.parametrize("scopes", [frozenset(), frozenset({"enforce", "root"})])
def test_unknown_scopes_and_none_are_refused(node: Node, scopes: frozenset[str]) -> None:
    with pytest.raises(InputError, match="admin, audit, bundles, enforce, roles, rollback"):
        node.store().create("ci", scopes)


@pytest.mark.parametrize(
    ("scopes", "roles", "message"),
    [
        (ADMIN, ("invoices",), "roles: limits what the scope enforce"),
        (ENFORCE | ADMIN, ("invoices",), "roles: limits what the scope enforce"),
        (frozenset({"audit"}), ("invoices",), "roles: limits what the scope enforce"),
        (ENFORCE, ("invoices", ""), r"roles\.1: must be 1 to 128"),
        (ENFORCE, ("x\0",), r"roles\.0: must be 1 to 128"),
        (ENFORCE, tuple(map(str, range(101))), "roles: must have at most 100"),
    ],
)
def test_roles_that_limit_nothing_or_name_none_are_refused(
    node: Node, scopes: frozenset[str], roles: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        node.store().create("ci", scopes, roles)
    assert node.store().list() == ()


def test_a_key_is_found_by_its_id(node: Node) -> None:
    key, _ = node.store().create("ci", ENFORCE)
    assert node.store().get(key.id) == key
    with pytest.raises(NotFoundError, match="'ci'"):
        node.store().get("ci")


def test_the_last_active_admin_key_is_not_revoked(node: Node) -> None:
    store = node.store()
    first, _ = store.create("first", ADMIN)
    store.create("agent", ENFORCE)
    second, secret = store.create("second", ADMIN | ENFORCE)
    store.revoke("first")
    with pytest.raises(ConflictError, match=r"last active key .* make another"):
        store.revoke("second")
    assert store.authenticate(secret) == second
    assert store.revoke("first").id == first.id  # again
    store.create("third", ADMIN)
    assert store.revoke("second").revoked_at is not None


def test_of_two_admin_keys_revoked_at_once_one_stays(node: Node) -> None:
    names = ["one", "two", "three", "four"]
    for name in names:
        node.store().create(name, ADMIN)

    def revoked(name: str) -> bool:
        try:
            node.store().revoke(name)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(revoked, names)) == 3


def test_the_last_use_is_kept_and_never_goes_back(node: Node) -> None:
    store = node.store()
    key, _ = store.create("ci", ENFORCE)
    unused, _ = store.create("unused", ENFORCE)
    store.record_uses({key.id: 1_777_464_100.0, "gone": 1.0})
    store.record_uses({key.id: 1_777_464_060.0})
    assert store.get(key.id).last_used_at == moment(1_777_464_100.0)
    assert store.get(unused.id).last_used_at is None
    assert [each.last_used_at for each in store.list() if each.id == key.id] == [
        moment(1_777_464_100.0)
    ]


def test_a_configured_key_is_adopted_once(node: Node) -> None:
    secret = "sb-a-configured-bootstrap-key"
    first = node.store().adopt(secret)
    assert node.store().adopt(secret) == first == node.store().authenticate(secret)
    assert first.scopes == {"admin"}
    assert node.store().list() == (first,)
    assert node.store().adopt(secret + "2").id != first.id


@pytest.mark.parametrize("secret", ["sb-too-short-0123456", "no-prefix-but-long-enough"])
def test_a_configured_key_that_will_not_do_is_a_setting_to_mend(node: Node, secret: str) -> None:
    short = secret[:19] if secret.startswith("sb-") else secret
    with pytest.raises(
        ConfigError, match="SCOPEBOUND_BOOTSTRAP_API_KEY must begin with sb-"
    ) as error:
        node.store().adopt(short)
    assert short not in str(error.value)


def test_a_revoked_configured_key_does_not_come_back(node: Node) -> None:
    secret = "sb-a-configured-bootstrap-key"
    node.store().create("another", ADMIN)
    node.store().revoke(node.store().adopt(secret).id)
    with pytest.raises(ConfigError, match="was revoked"):
        node.store().adopt(secret)


def test_without_a_database_no_key_is_believed(tmp_path: Path) -> None:
    store = ApiKeyStore(open_database("postgresql://x@127.0.0.1:1/x", tmp_path), lambda: 0.0)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError, match="refused"):
            store.authenticate("sb-" + "x" * 43)
