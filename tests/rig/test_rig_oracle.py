"""The rig's oracle, which asks a second engine, against the reference restated in plain Python."""

import time

import pytest

from tests.bundles import MARKED, MARKED_CODE
from tests.differential.oracle import Situation, codes
from tests.rig.history import ALLOW
from tests.rig.mix import CALLS, DAY, Call, roles
from tests.rig.oracle import expected

JUDGED = [number for number, call in enumerate(CALLS) if not call.says]


def by_the_reference(call: Call) -> str:
    case = Situation(
        role=roles()[call.role],
        tool_name=call.tool or "",
        call_args=dict(call.arguments),
        mcp=call.mcp,
        mcp_server=call.server,
        now=int(time.time()),
        age=0,
        ttl=DAY,
        calls_before=0,
    )
    return next(iter(codes(case)), ALLOW)


@pytest.mark.parametrize("number", JUDGED)
def test_without_more_rules_it_says_what_the_reference_does(number: int) -> None:
    assert expected()["lenient"][number] == by_the_reference(CALLS[number])


@pytest.mark.parametrize("number", JUDGED)
def test_the_strict_flavor_denies_marked_calls_and_is_otherwise_the_same(number: int) -> None:
    said = MARKED_CODE if CALLS[number].tool == MARKED else expected()["lenient"][number]
    assert expected()["strict"][number] == said


def test_calls_that_no_policy_is_asked_about_say_so_themselves() -> None:
    assert {call.says for call in CALLS} == {"", "JWT_INVALID", "REQUEST_INVALID"}


def test_the_mix_has_allows_and_denials_of_many_codes() -> None:
    assert len(set(expected()["strict"])) >= 10
