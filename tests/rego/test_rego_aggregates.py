import pytest

from scopebound_engine.rego.checks.aggregates import counted_texts, unsafe_slices, unsafe_sums
from tests.rego.plans import told, values_of

DATA = {"config": {"prices": [1, 2.5], "mixed": [1, "2"]}}


def sums(*rules: str) -> list[str]:
    return told(unsafe_sums(values_of(*rules, data=DATA)))


@pytest.mark.parametrize(
    "collection",
    [
        "input.call_args.amounts",
        "input.claims.allowed_tools",
        "data.config.mixed",
        '[5000, "0"]',
        "[input.call_args.a, 1]",
        "[l.amount | some l in input.call_args.lines]",
        "[l.amount | some l in input.call_args.lines; is_number(l.count)]",
        "[l.amount | some l in input.call_args.lines; not is_number(l.amount)]",
        "{l.amount | some l in input.call_args.lines}",
    ],
)
def test_a_sum_of_who_knows_what_is_found(collection: str) -> None:
    (found,) = sums(f"x if sum({collection}) > 1000")
    assert found.startswith("2: sum is given what is not known to be only numbers")


@pytest.mark.parametrize(
    "collection",
    [
        "[n | some l in input.call_args.lines; n := l.amount; is_number(n)]",
        "[l.amount | some l in input.call_args.lines; is_number(l.amount)]",
        "{n | some n in input.call_args.l; is_number(n)}",
        "[m | some n in input.call_args.l; m := n * 2]",
        "[count(input.claims.allowed_tools), 1]",
        "[1 | some _ in input.call_args.l]",
        "input.claims.allowed_days",
        "data.config.prices",
        "[]",
    ],
)
def test_a_sum_of_numbers_passes(collection: str) -> None:
    assert sums(f"x if sum({collection}) > 1000") == []


def test_numbers_that_a_rule_gathers_may_be_summed() -> None:
    gathered = "n contains a if { some a in input.call_args.l; is_number(a) }"
    assert sums("x if sum(n) > 1", gathered) == []
    assert len(sums("x if sum(n) > 1", gathered.replace("is_number(a)", "a != 1"))) == 1


def counts(*rules: str) -> list[str]:
    return told(counted_texts(values_of(*rules, data=DATA)))


@pytest.mark.parametrize(
    "rules",
    [
        ["x if count(input.call_args.pw) < 8"],
        ["x if count(input.tool_name) < 8"],
        ['x if count("abc") == 3'],
        ["x if { some w in input.call_args.words; count(w) > 8 }"],
        ["x if { is_string(input.call_args.pw); count(input.call_args.pw) < 8 }"],
        ["x if { is_array(input.call_args.l); count(input.call_args.m) < 8 }"],
        ["x if f(input.call_args.l)", "f(l) if count(l) > 8"],
        [
            "x if { is_array(input.call_args.l); f(input.call_args.l) }",
            "y if f(input.call_args.m)",
            "f(l) if count(l) > 8",
        ],
        ["f(l) if count(l) > 8"],
        ["x if f(input.call_args.l)", "f(l) if { count(l) > 8; f(l) }"],
    ],
)
def test_a_count_of_what_may_be_a_text_is_found(rules: list[str]) -> None:
    (found,) = counts(*rules)
    assert "count is given what may be a string" in found


@pytest.mark.parametrize(
    "rules",
    [
        ["x if count(input.claims.allowed_tools) > 8"],
        ["x if count(input.call_args) > 8"],
        ["x if count(data.config.prices) > 8"],
        ["x if count([1 | some _ in input.call_args.l]) > 8"],
        ["x if count(s) > 8", "s contains e if some e in input.call_args.l"],
        ["x if { is_array(input.call_args.l); count(input.call_args.l) > 8 }"],
        ["x if { l := input.call_args.l; count(l) > 8; is_object(l) }"],
        ["x if f(input.claims.allowed_tools)", "f(l) if count(l) > 8"],
        ["x if { is_array(input.call_args.l); f(input.call_args.l) }", "f(l) if count(l) > 8"],
        ["x if f(input.call_args.l)", "f(l) if g(l)", "g(l) if { is_array(l); count(l) > 8 }"],
        [
            "x := g(input.a)",
            'g(v) := "a" if is_string(v) else := f(v) if is_array(v)',
            "f(l) := count(l)",
        ],
        ["x if count(object.keys(input.call_args)) > 8"],
        ["x if count({1} | {2}) > 8"],
        ["x if count(array.concat([1], input.call_args.l)) > 8"],
    ],
)
def test_a_count_of_elements_passes(rules: list[str]) -> None:
    assert counts(*rules) == []


def test_a_slice_of_what_may_be_no_array_is_found() -> None:
    def slices(body: str, *rules: str) -> list[str]:
        return told(unsafe_slices(values_of(f"x if {{ {body} }}", *rules)))

    unguarded = 'array.slice(input.call_args.l, 0, 1) == ["q"]'
    (found,) = slices(unguarded)
    assert found.startswith("2: array.slice is given what may be no array")
    assert slices(f"is_array(input.call_args.l); {unguarded}") == []
    assert slices('array.slice(input.claims.allowed_tools, 0, 1) == ["q"]') == []
    function = "f(l) := array.slice(l, 0, 1)"
    assert slices("f(input.claims.allowed_tools) == [1]", function) == []
    assert len(slices("f(input.call_args.l) == [1]", function)) == 1
