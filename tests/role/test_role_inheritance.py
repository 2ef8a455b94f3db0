"""Inheritance: the reference's example, constraints that cannot be shed, chains that may not be."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scopebound.adapters.mcp_filesystem import filesystem_role_template
from scopebound.adapters.mcp_github import github_role_template
from scopebound.adapters.mcp_slack import slack_role_template

from scopebound_engine.errors import InputError
from scopebound_engine.role.inheritance import check_chain, effective, warnings_of
from scopebound_engine.role.model import Role

NOW = datetime(2026, 4, 29, tzinfo=UTC)


def role(*tools: str, constraints: dict[str, Any] | None = None, **fields: Any) -> Role:
    return Role.model_validate(
        {
            "id": "",
            "revision": 1,
            "created_at": NOW,
            "updated_at": NOW,
            "name": "a-role",
            "allowed_tools": list(tools),
            "parameter_constraints": constraints or {},
            **fields,
        }
    )


def rule(value: Any, operator: str = "lt", field: str = "amount") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def values(constraints: Any) -> list[Any]:
    return [constraint.value for constraint in constraints]


def test_the_references_chain_grants_the_references_tools() -> None:
    base = role("read_invoices", "read_vendors")
    extended = role("send_email")
    senior = role("approve_invoice")

    assert effective([base]).allowed_tools == ("read_invoices", "read_vendors")
    assert effective([extended, base]).allowed_tools == (
        "read_invoices",
        "read_vendors",
        "send_email",
    )
    assert effective([senior, extended, base]).allowed_tools == (
        "read_invoices",
        "read_vendors",
        "send_email",
        "approve_invoice",
    )


def test_a_tool_that_several_grant_stands_once_where_the_eldest_has_it() -> None:
    assert effective([role("c", "a"), role("b", "c")]).allowed_tools == ("b", "c", "a")


def test_an_inherited_tool_keeps_the_constraints_of_all_ancestors() -> None:
    eldest = role("pay", constraints={"pay": [rule(100)]})
    parent = role(constraints={"pay": [rule(50)], "mail": [rule(1)]})
    child = role("pay", constraints={"pay": [rule(1000)]})
    granted = effective([child, parent, eldest])

    assert values(granted.parameter_constraints["pay"]) == [100, 50, 1000]
    assert values(granted.parameter_constraints["mail"]) == [1]


def test_a_child_cannot_shed_a_constraint_by_an_empty_list() -> None:
    parent = role("pay", constraints={"pay": [rule(100)]})
    child = role("pay", constraints={"pay": []})

    assert values(effective([child, parent]).parameter_constraints["pay"]) == [100]


def test_the_same_constraint_stands_once_but_1_and_true_are_two() -> None:
    parent = role("pay", constraints={"pay": [rule(1, "eq")]})
    child = role(constraints={"pay": [rule(True, "eq"), rule(1, "eq")]})

    assert values(effective([child, parent]).parameter_constraints["pay"]) == [1, True]


@pytest.mark.parametrize(
    "other",
    [
        rule(5, "lt", "amount") | {"required": True},
        rule(5, "gt", "amount"),
        rule(5, "lt", "total"),
        rule(6, "lt", "amount"),
    ],
)
def test_constraints_that_differ_in_one_respect_all_stay(other: dict[str, Any]) -> None:
    parent = role("pay", constraints={"pay": [other]})
    child = role(constraints={"pay": [rule(5, "lt", "amount")]})
    kept = effective([child, parent]).parameter_constraints["pay"]

    assert [each.model_dump(exclude_defaults=True) for each in kept] == [other, rule(5)]


def test_everything_else_is_the_childs_own() -> None:
    parent = role("pay", max_delegation_depth=5, data_scope={"max_rows": 10})
    child = role(rate_limit_per_minute=3)

    assert effective([child, parent]).role == child


CHAIN = {"child": "parent", "parent": "grandparent", "grandparent": None, "lone": None}


@pytest.mark.parametrize(
    ("role_id", "parent_id"),
    [
        ("new", None),
        ("new", ""),
        ("new", "lone"),
        ("new", "parent"),
        ("lone", "parent"),
        ("child", "lone"),
        ("parent", "lone"),
        ("child", "parent"),
    ],
)
def test_a_chain_of_three_may_be(role_id: str, parent_id: str | None) -> None:
    check_chain(role_id, parent_id, CHAIN)


@pytest.mark.parametrize(
    ("role_id", "parent_id", "because"),
    [
        ("new", "child", "chain of 4"),
        ("lone", "child", "chain of 4"),
        ("grandparent", "lone", "chain of 4"),
        ("parent", "child", "circle"),
        ("grandparent", "child", "circle"),
        ("lone", "lone", "circle"),
        ("new", "new", "circle"),
    ],
)
def test_longer_chains_and_circles_are_refused(role_id: str, parent_id: str, because: str) -> None:
    with pytest.raises(InputError, match=because) as caught:
        check_chain(role_id, parent_id, CHAIN)
    assert caught.value.field == "parent_role_id"


def test_an_empty_parent_at_the_top_does_not_count() -> None:
    check_chain("new", "parent", {"parent": "top", "top": ""})


@pytest.mark.parametrize("parent_id", [None, ""])
def test_a_role_can_leave_its_parent_even_where_the_stored_chain_is_too_long(
    parent_id: str | None,
) -> None:
    check_chain("a", parent_id, {"a": "top", "b": "a", "c": "b", "d": "c"})


def test_a_parent_with_children_cannot_be_put_below_a_parent() -> None:
    with pytest.raises(InputError, match="chain of 4"):
        check_chain("b", "y", {"a": "b", "b": None, "x": None, "y": "x"})


@given(st.lists(st.tuples(st.integers(0, 6), st.none() | st.integers(0, 6)), max_size=30))
def test_no_sequence_of_changes_makes_a_longer_chain_or_a_circle(
    changes: list[tuple[int, int | None]],
) -> None:
    parent_of: dict[str, str | None] = {}
    for number, parent in changes:
        role_id, parent_id = str(number), None if parent is None else str(parent)
        try:
            check_chain(role_id, parent_id, parent_of)
        except InputError:
            continue
        parent_of[role_id] = parent_id

    for start in parent_of:
        length, current = 0, start
        while current is not None and length < 10:
            length, current = length + 1, parent_of.get(current)
        assert length <= 3


def test_stored_roles_that_already_form_a_circle_do_not_hang_the_check() -> None:
    check_chain("a", "x", {"x": "y", "y": "x"})


def warnings_about(template: dict[str, Any]) -> list[str]:
    return warnings_of(effective([role().model_validate({**role().model_dump(), **template})]))


def test_a_role_that_means_what_it_says_has_no_warnings() -> None:
    plain = role(
        "send_email",
        constraints={"send_email": [rule(r"^[^@]+@company\.com$", "regex", "to")]},
        allowed_hours_start=8,
        allowed_hours_end=20,
    )

    assert warnings_of(effective([plain])) == []
    assert warnings_about(slack_role_template("s", ["#a"])) == []


def test_the_references_email_pattern_is_told_what_it_lets_through() -> None:
    pattern = r".*@company\.com$"
    mail = role("send_email", constraints={"send_email": [rule(pattern, "regex", "to")]})
    (warning,) = warnings_of(effective([mail]))

    assert warning.startswith("parameter_constraints.send_email.to: ")
    assert r'write "^.*@company\.com$"' in warning


def test_the_filesystem_template_is_told_that_two_paths_must_match_at_once() -> None:
    template = filesystem_role_template("fs", ["/data/**", "/tmp/**"])
    found = [warning for warning in warnings_about(template) if ".read_file." in warning]

    assert sum("match all at once" in warning for warning in found) == 1
    assert sum("lets through" in warning for warning in found) == 2


def test_the_github_template_is_told_that_its_refusal_reaches_further() -> None:
    found = warnings_about(github_role_template("gh", ["myorg/backend"]))

    assert [warning for warning in found if "push_commit.branch" not in warning] == []
    assert any("also refuses longer values" in warning for warning in found)


def test_a_childs_pattern_beside_its_parents_is_two_patterns_on_one_field() -> None:
    parent = role("mail", constraints={"mail": [rule("^a$", "regex", "to")]})
    child = role(constraints={"mail": [rule("^b$", "regex", "to")]})

    assert any("match all at once" in text for text in warnings_of(effective([child, parent])))


def test_a_constraint_on_a_tool_that_is_not_allowed_is_told() -> None:
    child = role(constraints={"send_emial": [rule(5)], "pay": [rule(5)]})
    (warning,) = warnings_of(effective([child, role("pay")]))

    assert warning.startswith("parameter_constraints.send_emial: ")
    assert warnings_of(effective([role(), child, role("pay")])) == [warning]


@given(start=st.integers(0, 23), end=st.integers(0, 23))
def test_only_a_window_over_midnight_is_told(start: int, end: int) -> None:
    if start == end:
        return
    found = warnings_of(effective([role(allowed_hours_start=start, allowed_hours_end=end)]))

    hours = f"allowed_hours_start {start} is after allowed_hours_end {end}: "
    assert any(text.startswith(hours) and "midnight" in text for text in found) is (start > end > 0)
    assert len(found) == (start > end > 0)


def test_what_an_ancestor_keeps_out_of_the_log_stays_out_of_it() -> None:
    above, own = role(log_mask=["/call_args/iban"]), role(log_mask=["/call_args/a", "/call_args"])
    assert effective([own, above]).log_mask == ("/call_args/iban", "/call_args/a", "/call_args")
    assert effective([role(), above]).log_mask == ("/call_args/iban",)


def test_limits_of_servers_are_enforced_and_not_warned_of() -> None:
    assert warnings_of(effective([role(mcp_server_rate_limits={"files": 60})])) == []


def test_a_receiver_without_a_secret_is_warned_of() -> None:
    url = "https://receiver.example/hook"
    (warning,) = warnings_of(effective([role(webhook_url=url)]))
    assert "webhooks are sent without a signature" in warning
    signed = role(webhook_url=url, webhook_secret="0123456789abcdef")
    assert warnings_of(effective([signed])) == []
