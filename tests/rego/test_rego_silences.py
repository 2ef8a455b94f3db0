"""A denial that shows what is not there: found, unless its author asks for it or has a way out."""

import pytest
from silent_policies import FIRST, allowed, bodies, denies

from scopebound_engine.errors import Finding
from scopebound_engine.rego.checks.silences import silent_for_reasons

APPROVED = "approved if input.call_args.approved == true"
APPROVER = "input.call_args.approver"
SHOWN = f'sprintf("no approval by %v", [{APPROVER}])'
LITERAL = """violation contains {
	"code": "X",
	"severity": "low",
	"reason": sprintf("no approval by %v",
		[input.call_args.approver]),
	"retry_guidance": "none",
} if {
	not approved
}"""
IN_BODY = f"""violation contains v if {{
	not approved
	v := {{"code": "X", "severity": "low", "reason": {SHOWN}, "retry_guidance": "none"}}
}}"""


def findings(*rules: str) -> list[Finding]:
    return [*silent_for_reasons(bodies(*rules, APPROVED))]


SILENT = [
    ([LITERAL], 4, APPROVER),
    ([IN_BODY], 2, APPROVER),
    ([denies("not approved", SHOWN)], 0, APPROVER),
    ([denies("not approved", "why"), f"why := {SHOWN}"], 1, APPROVER),
    ([denies("not approved", f"why({APPROVER})"), 'why(x) := sprintf("%v", [x])'], 0, APPROVER),
    ([denies(f"who := {APPROVER}; not approved", "who")], 0, APPROVER),
    ([denies("not approved", f'sprintf("%v", [{APPROVER}.name])')], 0, f"{APPROVER}.name"),
    ([denies("not approved", f'object.get({APPROVER}, "name", "?")')], 0, APPROVER),
    ([denies("not approved", f'sprintf("%v", [count({APPROVER})])')], 0, APPROVER),
    (
        [
            denies("not approved", "why"),
            f'why := "a" if {{ input.tool_name == "a" }} else := {SHOWN}',
        ],
        1,
        APPROVER,
    ),
    ([denies("not approved", "why"), f'why := "by ann" if {APPROVER} == "ann"'], 1, APPROVER),
]


@pytest.mark.parametrize(("rules", "line", "path"), SILENT)
def test_a_denial_that_shows_an_argument_is_silent_without_it(
    rules: list[str], line: int, path: str
) -> None:
    (found,) = findings(*rules)
    assert (found.level, found.step, found.line) == ("error", "silences", FIRST + line)
    assert found.message.startswith(f"without {path}")
    assert allowed(*rules, APPROVED, call={"tool_name": "pay", "call_args": {}})


def test_what_a_constraint_does_not_always_have_is_found() -> None:
    rule = denies("some c in input.constraints; not fine(c)", 'sprintf("%v", [c.actual])')
    (found,) = findings(rule, "fine(c) if c.actual == c.value")
    assert "without input.constraints[_].actual" in found.message
    windows = denies("input.now.hour > 5", 'sprintf("%v", [input.session.rate.server.limit])')
    assert len(findings(windows)) == 1


@pytest.mark.parametrize(
    "rules",
    [
        [denies("not approved")],
        [denies("not approved", 'object.get(input.call_args, "approver", "nobody")')],
        [denies(f"{APPROVER} != null; not approved", SHOWN)],
        [denies(f"{APPROVER}; not approved", SHOWN)],
        [denies("named; not approved", SHOWN), f"named if is_string({APPROVER})"],
        [denies("not approved", SHOWN), denies(f"not {APPROVER}")],
        [denies("not approved", SHOWN), denies(f"not is_string({APPROVER})")],
        [denies("not approved", SHOWN), denies("not named"), f"named if is_string({APPROVER})"],
        [denies("not approved", "why"), f'why := {SHOWN} if {APPROVER} else := "by nobody"'],
        [denies("not approved", "why"), f'default why := "by nobody"\nwhy := {SHOWN}'],
        [denies("not approved", "why"), f'why := {SHOWN}\nwhy := "nobody" if not {APPROVER}'],
        [denies("not approved", "names"), f"names contains {APPROVER}"],
        [denies("not approved", f"[x | x := {APPROVER}]")],
        [denies("input.call_args.n == 5", 'sprintf("%v", [input.call_args.n])')],
        [denies("input.call_args.p.n == 5", 'sprintf("%v", [input.call_args.p])')],
        [denies("not approved", 'sprintf("%v", [input.call_args])')],
        [denies("not approved", 'sprintf("%v", [input.claims.role])')],
        [
            denies(
                "some c in input.constraints; c.present == true; c.fit == false",
                'sprintf("%v", [c.actual])',
            )
        ],
        [
            denies(
                "input.session.rate.server.granted == false",
                'sprintf("%v", [input.session.rate.server.limit])',
            )
        ],
        [denies("input.call_args.n == 5", "why"), 'why := "five" if input.call_args.n == 5'],
    ],
)
def test_a_denial_that_can_show_what_it_shows_passes(rules: list[str]) -> None:
    assert findings(*rules) == []


@pytest.mark.parametrize(
    "helper",
    [
        'why := "a" if is_string(input.tool_name)',
        'why := "a" if { input.tool_name == "a" } else := "b" if input.tool_name == "b"',
        'why := "a" if input.tool_name == "a"\nwhy := "b" if input.tool_name == "b"',
    ],
)
def test_a_text_that_may_have_no_value_is_a_warning(helper: str) -> None:
    (found,) = findings(denies("not approved", "why"), helper)
    assert (found.level, found.line) == ("warning", FIRST + 1)
    call = {"tool_name": None, "call_args": {}}
    assert allowed(denies("not approved", "why"), helper, APPROVED, call=call)


def test_the_remedy_is_a_denial() -> None:
    (found,) = findings(denies("not approved", SHOWN))
    assert 'object.get(input.call_args, "approver", "nobody")' in found.remedy
    mended = denies("not approved", 'object.get(input.call_args, "approver", "nobody")')
    assert not allowed(mended, APPROVED, call={"call_args": {}})
