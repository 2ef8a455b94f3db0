"""Policies that crash the engine, hang it, eat memory or are too many: findings, and soon."""

import json
import time

import pytest

from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.errors import Finding
from tests.bundle.gate_samples import added, bundle, changed

LONG = 'concat("", [c | some i in numbers.range(1, 30000); c := "a"])'
# Every built-in in it is allowed, and each line doubles the text: the last is of 2^40 bytes.
DOUBLING = "t0 := input.call_id\n" + "".join(
    f'd{n + 1} := concat("", [t{n}, t{n}])\nt{n + 1} := d{n + 1}\n' for n in range(40)
)
DENIAL = 'violation contains amount_violation("no") if {}\n'


def checked(text: str, **options: float) -> tuple[Finding, ...]:
    return gate.check(added(text), acknowledge_floor=True, **options).errors


def test_a_policy_that_crashes_the_engine_is_a_finding() -> None:
    found = checked(DENIAL.format(f"regex.match(`.*@a$`, {LONG})"))
    assert [item.step for item in found] == ["built-ins", "built-ins", "sandbox"]
    assert found[-1].message == (
        "an empty input gets no verdict: the Rego engine's process was ended by SIGSEGV"
    )


def test_a_policy_that_crashes_on_one_kind_of_call_names_the_call() -> None:
    guarded = f'input.mcp_server == "ledger"; regex.match(`.*@a$`, {LONG})'
    *_, last = checked(DENIAL.format(f"{{ {guarded} }}"))
    assert last.step == "sandbox"
    assert "an MCP call of a tool outside the role's allowed_tools gets no" in last.message


def test_a_policy_that_hangs_the_engine_is_a_finding() -> None:
    endless = 'regex.match("^(a+)+$", "' + "a" * 50 + 'b")'
    *_, last = checked(DENIAL.format(endless))
    assert (last.step, last.message) == (
        "sandbox",
        "an empty input gets no verdict: it takes more than 250 ms of processor time",
    )


def test_a_policy_that_eats_memory_is_a_finding() -> None:
    # Whichever comes first: the limit on memory, or that on time.
    (found,) = checked(DOUBLING + DENIAL.format('t40 == "x"'))
    assert (found.step, "gets no verdict" in found.message) == ("sandbox", True)


def test_a_test_that_eats_memory_is_a_finding() -> None:
    text = DOUBLING.replace("input.call_id", '"x"') + 'test_more if t40 == "x"\n'
    subject = added(text, "shop/deny/deny_test.rego")
    (found,) = gate.check(subject, acknowledge_floor=True).errors
    assert (found.step, "test_more error: " in found.message) == ("tests", True)


def test_a_policy_that_crashes_the_compiler_is_a_finding() -> None:
    (found,) = gate.check(changed("shop/main.rego", "import rego.v1", "import data")).errors
    assert found.step in {"parse", "sandbox"}


def test_a_policy_that_takes_longer_than_the_gate_waits_is_a_finding() -> None:
    (found,) = checked("", seconds=0.05)
    assert (found.step, found.message) == (
        "sandbox",
        "the check «3 source» could not be made: the Rego engine took longer than 0.05 s",
    )


def test_a_test_that_cannot_be_judged_is_a_finding() -> None:
    twice = "test_twice if f(1) == 1\nf(x) := 1 if x\nf(x) := 2 if x\n"
    subject = added(twice, "shop/deny/deny_test.rego")
    (found,) = gate.check(subject, acknowledge_floor=True).errors
    assert (found.step, found.file, found.line) == ("tests", "shop/deny/deny_test.rego", 18)
    assert "test_twice error: functions must not produce multiple outputs" in found.message


@pytest.mark.parametrize("file", ["shop/deny/many.rego", "shop/deny/many_test.rego"])
def test_ten_thousand_rules_are_refused_before_they_are_compiled(file: str) -> None:
    rules = "".join(
        f'violation contains amount_violation("{n}") if input.call_id == "{n}"\n'
        for n in range(10_000)
    )
    started = time.monotonic()
    (found,) = gate.check(bundle(**{file: "package shop.deny\n\n" + rules})).errors
    assert time.monotonic() - started < 20  # to compile them takes 35 s on a quiet machine
    most = 5_000 if file.endswith("_test.rego") else 1_000
    assert (found.step, found.file) == ("size", file)
    assert f"more than {most} are refused" in found.message


STATEMENTS = "x if {\n" + "\tn == n\n" * 16_000 + "}\n"
LISTS = {name: [f"{name}{number}" for number in range(20_000)] for name in ("a", "b")}


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (added(STATEMENTS), "48,"),
        (bundle(**{"shop/config/data.json": json.dumps({"limit": 1, **LISTS})}), "40,0"),
    ],
    ids=["statements", "data"],
)
def test_what_would_keep_the_gate_busy_is_refused_before_the_engine_sees_it(
    subject: VerifiedBundle, said: str
) -> None:
    started = time.monotonic()
    (found,) = gate.check(subject).errors
    assert time.monotonic() - started < 15  # to compile or load them takes a minute and more
    assert found.step == "size"
    assert said in found.message


def test_no_test_of_a_bundle_takes_longer_than_the_gate_waits() -> None:
    slow = "".join(
        f"test_slow_{number} if count([1 | some x in numbers.range(1, 3000); x]) == {number}\n"
        for number in range(2_000)
    )
    started = time.monotonic()
    report = gate.check(added(slow, "shop/deny/deny_test.rego"), seconds=5.0)
    assert time.monotonic() - started < 8
    assert report.errors
