"""What a role file changes: compared, shown and ordered, without a server."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.cli.role_file import DEFAULTS, Entry, Place, RoleFileError, canonical
from scopebound_engine.cli.role_plan import Present, plan, present_roles
from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.inheritance import check_chain


def entry(name: str, *, secret: str | None = None, **fields: Any) -> Entry:
    place = Place("roles.yaml", 0, lambda _: 1)
    return Entry(place, canonical(parse(RoleFields, {"name": name, **fields})), secret)


def present(*roles: dict[str, Any]) -> dict[str, Present]:
    return {
        role["name"]: Present(f"id-{role['name']}", dict(DEFAULTS) | role, "") for role in roles
    }


def shown(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    """The lines of a change of one role's fields."""
    was = canonical(parse(RoleFields, {"name": "r", **before}))
    (step,) = plan([entry("r", **after)], present(was))
    assert step.mark == ("~" if step.lines else "=")
    return step.lines


def test_a_new_role_is_created_with_what_is_said_of_it() -> None:
    (step,) = plan([entry("r", allowed_tools=["read"], default_ttl_seconds=3600)], {})
    assert (step.mark, step.body) == ("+", {"name": "r", "allowed_tools": ["read"]})
    assert step.lines == ('allowed_tools: ["read"]',)


def test_an_equal_role_is_unchanged() -> None:
    fields = {"allowed_tools": ["read"], "data_scope": {"max_rows": 5}}
    assert shown(fields, fields) == ()
    assert shown({"max_rows": 5}, {"data_scope": {"max_rows": 5, "allowed_envs": []}}) == ()


LT = {"field": "amount", "operator": "lt", "value": 50000}
TO = {"field": "to", "operator": "regex", "value": "^a$"}


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({}, {"description": "é\n"}, ['description: "" -> "é\\n"']),
        ({"description": "x"}, {}, ['description: "x" -> ""']),
        ({"allowed_tools": ["a", "b"]}, {"allowed_tools": ["b", "c"]},
         ["allowed_tools:", '  - "a"', '  + "c"']),
        ({"allowed_tools": ["a", "b"]}, {"allowed_tools": ["b", "a"]},
         ['allowed_tools: in another order, ["b", "a"]']),
        ({"max_rows": 5}, {"max_rows": 6, "allowed_envs": ["x"]},
         ["data_scope.allowed_envs:", '  + "x"', "data_scope.max_rows: 5 -> 6"]),
        ({"parameter_constraints": {"pay": [LT]}}, {"parameter_constraints": {"pay": [LT, TO]}},
         ["parameter_constraints.pay:",
          '  + {"field": "to", "operator": "regex", "value": "^a$"}']),
        ({"parameter_constraints": {"pay": [LT]}}, {"parameter_constraints": {"send": [TO]}},
         ['parameter_constraints.pay: [{"field": "amount", "operator": "lt", "value": 50000}]'
          " -> (removed)",
          'parameter_constraints.send: [{"field": "to", "operator": "regex", "value": "^a$"}]']),
        ({"parameter_constraints": {"t": [{"field": "f", "operator": "eq", "value": 1}]}},
         {"parameter_constraints": {"t": [{"field": "f", "operator": "eq", "value": True}]}},
         ["parameter_constraints.t:",
          '  - {"field": "f", "operator": "eq", "value": 1}',
          '  + {"field": "f", "operator": "eq", "value": true}']),
        ({"mcp_server_rate_limits": {"fs": 1}}, {"mcp_server_rate_limits": {"fs": 2}},
         ["mcp_server_rate_limits.fs: 1 -> 2"]),
    ],
)  # fmt: skip
def test_a_change_is_shown_field_by_field(
    before: dict[str, Any], after: dict[str, Any], lines: list[str]
) -> None:
    assert shown(before, after) == tuple(lines)


def test_what_a_terminal_would_obey_is_shown_escaped() -> None:
    (line,) = shown({}, {"description": "\u202e\x9b31m"})
    assert line == 'description: "" -> "\\u202e\\x9b31m"'


def test_only_what_changes_is_sent() -> None:
    role = canonical(parse(RoleFields, {"name": "r", "description": "d", "max_rows": 5}))
    (step,) = plan([entry("r", description="d", max_rows=6)], present(role))
    assert step.body == {"data_scope": {"allowed_envs": [], "max_rows": 6}}
    assert step.role_id == "id-r"


@pytest.mark.parametrize(
    ("secret", "hint", "mark", "line"),
    [
        (None, "", "=", None),
        (None, "hmac-sec***", "=", None),
        ("hmac-secret-of-16", "hmac-sec***", "=", None),
        ("hmac-secret-of-16", "", "~", "webhook_secret: set (never shown)"),
        ("another-hmac-secret", "hmac-sec***", "~", "webhook_secret: set (never shown)"),
        ("", "hmac-sec***", "~", "webhook_secret: removed (never shown)"),
        ("", "", "=", None),
    ],
)
def test_a_secret_is_sent_only_where_it_is_another_and_never_shown(
    secret: str | None, hint: str, mark: str, line: str | None
) -> None:
    there = {"r": Present("id-r", dict(DEFAULTS) | {"name": "r"}, hint)}
    (step,) = plan([entry("r", secret=secret)], there)
    assert (step.mark, step.lines) == (mark, (line,) if line else ())
    assert step.body == ({"webhook_secret": secret} if line else {})
    assert not secret or secret not in repr(step)


def test_a_created_role_is_sent_its_secret() -> None:
    (step,) = plan([entry("r", secret="a-secret-of-webhooks")], {})
    assert step.body["webhook_secret"] == "a-secret-of-webhooks"
    assert step.lines == ("webhook_secret: set (never shown)",)


def test_answers_become_roles_whose_parents_have_names() -> None:
    answered = [
        {"id": "1", "name": "base", "parent_role_id": "", "allowed_tools": ["a"], "new": 1},
        {"id": "2", "name": "child", "parent_role_id": "1", "webhook_secret_hint": "abc***"},
    ]
    found = present_roles(answered)
    assert found["base"].fields == dict(DEFAULTS) | {"name": "base", "allowed_tools": ["a"]}
    assert found["child"].fields["parent_role_id"] == "base"
    assert found["child"].hint == "abc***"


def order(*entries: Entry, there: dict[str, Present] | None = None) -> list[str]:
    return [step.entry.name for step in plan(entries, there or {})]


def test_parents_come_before_children_and_else_the_files_order_is_kept() -> None:
    senior, middle = entry("c", parent_role_id="b"), entry("b", parent_role_id="a")
    assert order(senior, entry("z"), middle, entry("a")) == ["z", "a", "b", "c"]


def test_a_parent_may_be_named_by_the_uuid_it_has_on_the_server() -> None:
    uuid = "3bcedc38-a87a-4c2a-bc50-7693cb90af2d"
    there = {"base": Present(uuid, dict(DEFAULTS) | {"name": "base"})}
    (step,) = plan([entry("r", parent_role_id=uuid.upper())], there)
    assert step.body["parent_role_id"] == "base"


def test_a_chain_is_turned_around_one_role_at_a_time() -> None:
    there = present(
        {"name": "a", "parent_role_id": ""},
        {"name": "b", "parent_role_id": "a"},
        {"name": "c", "parent_role_id": "b"},
    )
    turned = [entry("a", parent_role_id="b"), entry("b", parent_role_id="c"), entry("c")]
    assert order(*turned, there=there) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([entry("r", parent_role_id="nobody")], 'parent_role_id: no role .* is "nobody"'),
        ([entry("r", parent_role_id="r")], "parent_role_id: would close a circle"),
        (
            [entry("a", parent_role_id="b"), entry("b", parent_role_id="a")],
            "parent_role_id: would close a circle",
        ),
        (
            [entry(name, parent_role_id=up) for name, up in zip("abcd", ["", *"abc"], strict=True)],
            "role d: parent_role_id: would make a chain of 4 roles",
        ),
    ],
)
def test_impossible_parents_are_refused_before_any_change(entries: list[Entry], told: str) -> None:
    with pytest.raises(RoleFileError, match=rf"(?s)nothing was changed.*roles\.yaml:1:1: .*{told}"):
        plan(entries, {})


parents = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", *"abcdef"]), min_size=1)


def _sound(parents: dict[str, str]) -> bool:
    try:
        for name, parent in parents.items():
            if parent and parent not in parents:
                return False
            check_chain(name, parent, parents)
    except InputError:
        return False
    return True


@given(before=parents.filter(_sound), after=parents)
def test_whatever_the_chains_each_step_is_one_that_the_server_accepts(
    before: dict[str, str], after: dict[str, str]
) -> None:
    there = present(*({"name": name, "parent_role_id": up} for name, up in before.items()))
    entries = [entry(name, parent_role_id=up) for name, up in after.items()]
    if not _sound(before | after):
        with pytest.raises(RoleFileError, match="nothing was changed"):
            plan(entries, there)
        return
    state = dict(before)
    for step in plan(entries, there):
        state[step.entry.name] = step.entry.fields["parent_role_id"]
        assert _sound(state)
    assert state == before | after


def test_a_place_without_lines_still_names_file_role_and_field(tmp_path: Path) -> None:
    finding = Place("roles.json", 3, lambda _: 0).finding("r", "max_rows", "is wrong")
    assert str(finding) == "roles.json: role r: max_rows: is wrong"
