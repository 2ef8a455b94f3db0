"""The published schemas of bodies against the checks that are written by hand."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.api.enforce import UnfitCallError, call_id_of, call_of
from scopebound_engine.api.provision import wish_of
from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleChanges, RoleFields
from scopebound_engine.role.model import Suspension
from tests.description import assert_valid, schema_of, valid

# Bodies near the fit ones: each field fit, unfit or absent.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3
) | st.sampled_from(["a", "é" * 128, "x" * 129, "x" * 256, "x" * 257, "a\n", "\x85", "a\u2028"])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(-2, 2, allow_subnormal=False),
    TEXTS,
    st.just([]),
    st.just({}),
    st.just({"a": [1]}),
)


def bodies(*fields: str) -> st.SearchStrategy[Any]:
    fit = {"jwt": TEXTS, "tool_name": TEXTS, "call_args": st.just({}), "role_id": TEXTS}
    return VALUES | st.fixed_dictionaries(
        {}, optional={name: VALUES | fit.get(name, VALUES) for name in (*fields, "other")}
    )


def sent(value: Any) -> Any:
    """A value as the engine reads it from a body."""
    return strict_json.loads(json.dumps(value).encode())


CALLS = bodies("jwt", "tool_name", "call_args", "arguments", "call_id", "mcp_server")
FIT_CALLS = st.builds(lambda base, more: {**base, **more}, CALLS.filter(lambda b: type(b) is dict),
                      st.fixed_dictionaries({"jwt": TEXTS, "tool_name": TEXTS}))  # fmt: skip


def fits_enforce(body: Any, action: Any) -> bool:
    """What the hand-written checks of the enforce endpoints say of a body."""
    if type(body) is not dict or type(body.get("jwt")) is not str:
        return False
    try:
        call_of(body, action, call_id_of(body))
    except UnfitCallError:
        return False
    return True


@given(body=CALLS | FIT_CALLS)
def test_the_schema_of_a_call_and_its_check_agree(body: Any) -> None:
    for name, action in (("ToolCall", "tool_call"), ("McpToolCall", "mcp_tool_call")):
        assert valid(schema_of(name), body) is fits_enforce(sent(body), action)


@given(body=bodies("role_id", "requested_ttl", "parent_session_id"))
def test_the_schema_of_a_session_request_and_its_check_agree(body: Any) -> None:
    try:
        wish_of(sent(body))
    except InputError:
        assert not valid(schema_of("SessionRequest"), body)
    else:
        assert valid(schema_of("SessionRequest"), body)


@given(
    body=bodies(
        *("name", "description", "allowed_tools", "default_ttl_seconds", "default_ttl"),
        *("rate_limit_per_hour", "allowed_days", "data_scope", "max_rows", "allowed_envs"),
    )
)
def test_what_a_role_model_takes_has_the_published_schema(body: Any) -> None:
    for model in (RoleFields, RoleChanges, Suspension):
        try:
            parse(model, sent(body))
        except InputError:
            continue
        assert_valid(schema_of(model.__name__), body)
