import pytest

from scopebound_engine.rego.checks.denials import check
from scopebound_engine.rego.checks.values import Values
from tests.rego.plans import plan_of, told

CODES = {"TOO_BIG": "high", "TOO_OFTEN": "medium"}
BIG = '"code": "TOO_BIG", "severity": "high", "reason": "r", "retry_guidance": "none"'
OFTEN = 'd contains v("TOO_OFTEN", "medium", "wait") if input.a'
HELPER = (
    'v(c, s, g) := {"code": c, "severity": s, "reason": "r", "retry_guidance": g, '
    '"retry_after_seconds": 3}'
)


def denials(*rules: str, codes: dict[str, str] | None = None) -> list[str]:
    plan = plan_of("\n".join(["package t", "x := d", *rules]))
    return told(check(Values(plan, {}), "t/x", CODES if codes is None else codes))


def test_declared_violations_pass_also_through_a_helper() -> None:
    assert denials(f"d contains {{{BIG}}} if input.a", OFTEN, HELPER) == []


def test_a_helper_of_a_helper_is_followed() -> None:
    wrapped = 'w(g) := v("TOO_OFTEN", "medium", g)\nd contains w("wait") if input.a'
    assert denials(f"d contains {{{BIG}}} if input.a", wrapped, HELPER) == []
    wrong = wrapped.replace("medium", "low")
    assert denials(f"d contains {{{BIG}}} if input.a", wrong, HELPER) == [
        "5: the severity of TOO_OFTEN is low here and medium in the manifest"
    ]


def test_a_value_of_several_literals_is_all_of_them() -> None:
    rule = "d contains {{{}}} if input.a".format(BIG.replace('"none"', "g"))
    good = 'g := "none" if input.b else := "change_args"'
    assert denials(rule, good, codes={"TOO_BIG": "high"}) == []
    assert len(denials(rule, good.replace("change_args", "maybe"), codes={"TOO_BIG": "high"})) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TOO_BIG", "TOO_BAD", "3: the manifest does not declare TOO_BAD"),
        ('"high"', '"low"', "3: the severity of TOO_BIG is low here and high in the manifest"),
        ('"high"', "input.a", "3: the severity of TOO_BIG is not a literal here and high in the"),
        ('"TOO_BIG"', "input.a", "3: the violation's code is not one literal"),
        ('"none"', '"later"', "3: retry_guidance must be one of"),
        ('"none"', '"wait"', '3: retry_guidance "wait" and the field retry_after_seconds go'),
        ('"reason": "r", ', "", "3: the violation has no reason"),
        ('"reason"', '"reasons"', "3: the violation has a field reasons that nobody reads"),
    ],
)
def test_what_is_wrong_with_a_violation_is_found(old: str, new: str, message: str) -> None:
    rule = f"d contains {{{BIG.replace(old, new)}}} if input.a"
    assert any(found.startswith(message) for found in denials(rule, codes={"TOO_BIG": "high"}))


def test_a_declared_code_that_no_rule_denies_with_is_found() -> None:
    assert denials(f"d contains {{{BIG}}} if input.a") == [
        "0: TOO_OFTEN is declared, and no rule that t/x reaches denies with it"
    ]


def test_a_rule_that_the_entrypoint_does_not_gather_counts_for_nothing() -> None:
    found = denials(f"d contains {{{BIG}}} if input.a", OFTEN.replace("d ", "dd "), HELPER)
    assert found == ["0: TOO_OFTEN is declared, and no rule that t/x reaches denies with it"]


def test_rules_that_need_each_other_do_not_hang_the_check() -> None:
    loop = 'd contains v("TOO_BIG", "high", "none") if e\ne if count(d) > 0'
    assert denials(loop, HELPER, codes={"TOO_BIG": "high"}) != []
