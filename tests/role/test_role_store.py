import itertools
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from scopebound_engine.database.engine import open_database, transaction
from scopebound_engine.errors import (
    ConflictError,
    DatabaseUnavailableError,
    InputError,
    NotFoundError,
)
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleChanges, RoleFields
from scopebound_engine.role.model import Role
from scopebound_engine.role.store import RoleStore

NOON = 1_777_464_000.25


@pytest.fixture
def store(database: Engine) -> RoleStore:
    seconds = itertools.count(NOON)
    return RoleStore(database, lambda: next(seconds))


def fields(name: str = "invoice-processor", **more: Any) -> RoleFields:
    return parse(RoleFields, {"name": name, **more})


def changes(**named: Any) -> RoleChanges:
    return parse(RoleChanges, named)


FULL: dict[str, Any] = {
    "description": "Rechnungen prüfen",
    "allowed_tools": ["read_invoices", "send_email"],
    "default_ttl_seconds": 900,
    "parameter_constraints": {
        "send_email": [{"field": "to", "operator": "regex", "value": r"^.*@company\.com$"}],
        "pay": [
            {"field": "id", "operator": "eq", "value": 10**60 + 1},
            {"field": "share", "operator": "lt", "value": 0.1, "required": True},
            {"field": "tag", "operator": "in", "value": [None, True, "\u2028", {"a": 1e300}]},
        ],
    },
    "allowed_days": [0, 4],
    "data_scope": {"allowed_envs": ["staging"], "max_rows": 10},
    "webhook_secret": "sixteen-or-more-characters",
}


def test_a_created_role_is_found_as_it_was_given(store: RoleStore) -> None:
    role = store.create(fields(**FULL))
    assert role.document() == fields(**FULL).document()
    assert role.revision == 1
    assert role.created_at == role.updated_at == datetime.fromtimestamp(NOON, UTC)
    assert store.get(role.id) == store.get(role.id.upper()) == store.by_name(role.name) == role


def test_roles_are_listed_by_name(store: RoleStore) -> None:
    made = [store.create(fields(name)) for name in ("b", "a")]
    assert store.list() == (made[1], made[0])


def test_a_taken_name_is_a_conflict(store: RoleStore) -> None:
    store.create(fields())
    with pytest.raises(ConflictError, match="'invoice-processor' exists already"):
        store.create(fields())
    assert len(store.list()) == 1


def test_what_is_not_there_is_said_so(store: RoleStore) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for ask in (
        store.get,
        lambda it: store.update(it, changes()),
        lambda it: store.suspend(it, ""),
        store.resume,
        store.delete,
    ):
        with pytest.raises(NotFoundError, match=nobody):
            ask(nobody)
    with pytest.raises(NotFoundError, match="no role named 'ghost'"):
        store.by_name("ghost")


def test_an_update_replaces_what_it_names_and_leaves_the_rest(store: RoleStore) -> None:
    before = store.create(fields(**FULL))
    found, after = store.update(before.id, changes(allowed_tools=[], data_scope={"max_rows": 5}))
    assert found == before
    expected = FULL | {
        "allowed_tools": [],
        "data_scope": {"allowed_envs": ["staging"], "max_rows": 5},
    }
    assert after.document() == fields(**expected).document()
    assert (after.id, after.revision, after.created_at) == (before.id, 2, before.created_at)
    assert after.updated_at > before.updated_at
    assert store.get(before.id) == after


def test_a_refused_update_changes_nothing(store: RoleStore) -> None:
    role = store.create(fields())
    with pytest.raises(InputError, match="cannot be changed"):
        store.update(role.id, changes(name="other"))
    assert store.get(role.id) == role


@pytest.mark.parametrize(
    "key", [lambda role: role.id, lambda role: role.id.upper(), lambda role: role.name]
)
def test_a_parent_is_named_by_id_or_name(store: RoleStore, key: Callable[[Role], str]) -> None:
    parent = store.create(fields("parent"))
    child = store.create(fields("child", parent_role_id=key(parent)))
    assert child.parent_role_id == parent.id
    assert store.chain(child) == (child, parent)
    assert store.update(child.id, changes(parent_role_id=""))[1].parent_role_id == ""


def test_a_chain_has_three_roles(store: RoleStore) -> None:
    eldest = store.create(fields("eldest"))
    parent = store.create(fields("parent", parent_role_id="eldest"))
    child = store.create(fields("child", parent_role_id="parent"))
    assert store.chain(child) == (child, parent, eldest)
    assert store.chain(eldest) == (eldest,)
    with pytest.raises(InputError, match="a chain of 4 roles"):
        store.create(fields("grandchild", parent_role_id="child"))


def test_a_chain_is_not_deepened_from_above(store: RoleStore) -> None:
    for name, parent in (("top", ""), ("eldest", ""), ("parent", "eldest"), ("child", "parent")):
        store.create(fields(name, parent_role_id=parent))
    with pytest.raises(InputError, match="a chain of 4 roles"):
        store.update(store.by_name("eldest").id, changes(parent_role_id="top"))


def test_a_circle_is_refused(store: RoleStore) -> None:
    one = store.create(fields("one"))
    store.create(fields("two", parent_role_id="one"))
    for parent in ("one", "two"):
        with pytest.raises(InputError, match="close a circle"):
            store.update(one.id, changes(parent_role_id=parent))


def test_an_unknown_parent_is_a_mistake_in_the_field(store: RoleStore) -> None:
    with pytest.raises(InputError, match="'ghost'") as error:
        store.create(fields(parent_role_id="ghost"))
    assert error.value.field == "parent_role_id"


def test_a_role_is_suspended_and_resumed_and_stays_what_it_is(store: RoleStore) -> None:
    role = store.create(fields(**FULL))
    assert role.suspended_reason is None
    for reason in ("key leaked", "still looking", ""):
        suspended = store.suspend(role.id.upper(), reason)
        assert suspended.suspended_reason == reason
        assert store.get(role.id) == store.by_name(role.name) == suspended
    resumed = store.resume(role.id)
    assert resumed.suspended_reason is None
    assert (resumed.document(), resumed.revision) == (role.document(), role.revision)
    assert resumed.updated_at > suspended.updated_at > role.updated_at
    assert store.resume(role.id).suspended_reason is None


def test_a_suspended_role_is_changed_and_stays_suspended(store: RoleStore) -> None:
    role = store.create(fields())
    store.suspend(role.id, "why")
    assert store.update(role.id, changes(allowed_tools=["read"]))[1].suspended_reason == "why"


def test_a_suspension_is_the_roles_own(store: RoleStore) -> None:
    store.create(fields("other"))
    parent = store.create(fields("parent"))
    child = store.create(fields("child", parent_role_id="parent"))
    store.suspend(parent.id, "")
    assert [role.name for role in store.list() if role.suspended_reason is not None] == ["parent"]
    assert store.chain(store.get(child.id))[1].suspended_reason == ""


def test_a_deleted_role_is_gone_and_its_name_is_free(store: RoleStore) -> None:
    role, other = store.create(fields(**FULL)), store.create(fields("other"))
    assert store.delete(role.id) == role
    with pytest.raises(NotFoundError):
        store.get(role.id)
    assert store.list() == (other,)
    assert store.create(fields()).id != role.id


def test_a_role_with_children_is_not_deleted(store: RoleStore) -> None:
    parent = store.create(fields("parent"))
    children = [store.create(fields(name, parent_role_id="parent")) for name in ("b", "a")]
    with pytest.raises(ConflictError, match="'parent' is the parent of 'a', 'b'; give them"):
        store.delete(parent.id)
    store.update(children[0].id, changes(parent_role_id=""))
    store.delete(children[1].id)
    store.delete(parent.id)
    assert [role.name for role in store.list()] == ["b"]


def test_a_parent_is_not_deleted_while_it_is_adopted(store: RoleStore) -> None:
    together = threading.Barrier(2)

    def tried(change: Callable[[], object]) -> bool:
        together.wait()
        try:
            change()
        except (InputError, ConflictError):
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for number in range(5):
            parent = store.create(fields(f"parent-{number}"))
            child = store.create(fields(f"child-{number}"))
            adopt = partial(store.update, child.id, changes(parent_role_id=parent.name))
            delete = partial(store.delete, parent.id)
            assert sorted(threads.map(tried, (adopt, delete))) == [False, True]


class Refusing:
    """A check that refuses every role, and remembers which."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def __call__(self, chain: Sequence[Role]) -> None:
        self.seen.append([role.name for role in chain])
        raise InputError("allowed_tools", "no")


def test_what_a_check_refuses_is_not_stored(store: RoleStore) -> None:
    refusing = Refusing()
    parent = store.create(fields("parent"))
    with pytest.raises(InputError, match="allowed_tools: no"):
        store.create(fields("child", parent_role_id="parent"), refusing)
    assert store.list() == (parent,)
    child = store.create(fields("child"))
    with pytest.raises(InputError, match="allowed_tools: no"):
        store.update(child.id, changes(parent_role_id="parent", description="x"), refusing)
    assert store.get(child.id) == child
    assert refusing.seen == [["child", "parent"]] * 2


def test_names_are_case_sensitive(store: RoleStore) -> None:
    lower, upper = store.create(fields("a")), store.create(fields("A"))
    assert (store.by_name("a"), store.by_name("A")) == (lower, upper)
    assert store.create(fields("child", parent_role_id="A")).parent_role_id == upper.id


def test_a_failure_of_the_database_does_not_show_the_webhook_secret(
    store: RoleStore, database: Engine
) -> None:
    store.create(fields("before"))
    with transaction(database) as connection:
        connection.execute(text("ALTER TABLE roles RENAME COLUMN created_at TO gone"))
    with pytest.raises((DatabaseUnavailableError, ProgrammingError)) as caught:
        store.create(fields(webhook_secret=FULL["webhook_secret"]))
    shown = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO roles" in shown
    # SQLAlchemy cuts a long parameter in the middle: the end of this secret would be left.
    assert FULL["webhook_secret"][-8:] not in shown


def test_changes_that_cross_cannot_close_a_circle_together(store: RoleStore) -> None:
    together = threading.Barrier(2)

    def adopt(child: Role, parent: Role) -> bool:
        together.wait()
        try:
            store.update(child.id, changes(parent_role_id=parent.id))
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            pair = [store.create(fields(f"{side}-{number}")) for side in ("left", "right")]
            assert sorted(threads.map(adopt, pair, pair[::-1])) == [False, True]


def test_one_of_many_that_create_the_same_name_succeeds(store: RoleStore) -> None:
    def create(_: int) -> bool:
        try:
            store.create(fields())
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(create, range(8))) == 1


def test_without_a_database_roles_are_unavailable(tmp_path: Path) -> None:
    store = RoleStore(open_database("postgresql://x@127.0.0.1:1/x", tmp_path), lambda: NOON)
    with pytest.raises(DatabaseUnavailableError):
        store.list()
