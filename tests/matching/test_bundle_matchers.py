"""Matchers on documents: a path is followed by the letter, to one of four answers, never an error.

Not in tests/bundle, where the Rego engine is loaded, which shares no process with RE2.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.bundle.matchers import EMPTY, Matchers
from tests.matching.judging import manifest

ANSWERS = {"absent", "unfit", "yes", "no"}

ARGS = {
    "text": "x",
    "null": None,
    "number": 1,
    "true": True,
    "list": ["x", ["x"], None],
    "object": {"x": "x", "0": "x"},
    "a/b": "x",
    "m~n": "x",
    "~1": "x",
    "": "x",
    "long": ["x"] * 12,
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/call_args/text", "yes"),
        ("/call_args/Text", "absent"),
        ("/call_args/null", "unfit"),
        ("/call_args/number", "unfit"),
        ("/call_args/true", "unfit"),
        ("/call_args/list", "unfit"),
        ("/call_args/list/0", "yes"),
        ("/call_args/list/1", "unfit"),
        ("/call_args/list/1/0", "yes"),
        ("/call_args/list/2", "unfit"),
        ("/call_args/list/3", "absent"),
        ("/call_args/list/99999999999999999999999999", "absent"),
        ("/call_args/list/00", "unfit"),
        ("/call_args/list/-", "unfit"),
        ("/call_args/list/-1", "unfit"),
        ("/call_args/list/\u0660", "unfit"),
        ("/call_args/list/x", "unfit"),
        ("/call_args/long/11", "yes"),
        ("/call_args/object", "unfit"),
        ("/call_args/object/x", "yes"),
        ("/call_args/object/0", "yes"),
        ("/call_args/object/y", "absent"),
        ("/call_args/object/y/z", "absent"),
        ("/call_args/text/x", "unfit"),
        ("/call_args/null/x", "unfit"),
        ("/call_args/a~1b", "yes"),
        ("/call_args/m~0n", "yes"),
        ("/call_args/~01", "yes"),
        ("/tool_name", "yes"),
        ("/mcp_server", "absent"),
        ("/child/role", "absent"),
        ("/claims/role", "yes"),
        ("/claims/parent_session_id", "absent"),
        ("/claims/exp", "unfit"),
        ("/claims/bound/approval_required/0", "yes"),
        ("/claims/gone/role", "absent"),
    ],
)
def test_a_path_is_followed_by_the_letter(path: str, answer: str) -> None:
    document = {
        "call_args": ARGS,
        "tool_name": "x",
        "mcp_server": None,
        "claims": {
            "role": "x",
            "exp": 1,
            "parent_session_id": None,
            "bound": {"approval_required": ["x"]},
        },
    }
    declared = {"m": {"path": path, "regex": "^x$"}}
    assert Matchers.of(manifest(declared)).judge(document) == {"m": answer}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "0", "1", ""]) | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)
OPERATORS = {
    "regex": ["^(?!b)a+$", "0"],
    "glob": ["*a", "?"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "prefix": ["a"],
    "suffix": ["0"],
    "casefold_equals": ["ß", "a"],
}
PATHS = ["/call_args/a", "/call_args/a/0", "/call_args/0/a/1", "/claims/a", "/tool_name"]
TOTAL = Matchers.of(
    manifest(
        {
            f"m{index}_{operator}": {"path": path, operator: patterns}
            for index, path in enumerate(PATHS)
            for operator, patterns in OPERATORS.items()
        }
    )
)


@given(st.dictionaries(st.sampled_from(["call_args", "claims", "tool_name"]), JSON))
def test_every_matcher_answers_whatever_the_document(document: dict[str, Any]) -> None:
    answers = TOTAL.judge(document)
    assert len(answers) == len(PATHS) * len(OPERATORS)
    assert {*answers.values()} <= ANSWERS


def test_without_matchers_there_are_no_answers() -> None:
    assert EMPTY.judge({}) == {}
    assert Matchers.of(manifest({})).judge({"tool_name": "x"}) == {}
