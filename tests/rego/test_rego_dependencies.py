from scopebound_engine.rego.testing.dependencies import needed

MODULES = {
    "deny.rego": "package p.deny\nv contains 1",
    "fixtures_test.rego": "package p.fixtures_test\nimport data.p.more_test\ncall := more_test.a",
    "more_test.rego": "package p.more_test\na := 1",
    "deny_test.rego": """package p.deny.deny_test
import data.p.deny
import data.p.fixtures_test as fixtures
test_a if deny.v == {1} with input as fixtures.call
""",
    "other_test.rego": "package p.deny.other_test\nimport data.p.deny\ntest_b if deny.v",
    "same_test.rego": "package p.deny.other_test\nhelper := 1",
    "all_test.rego": "package p.all_test\ntest_c if count(data.p.deny) == 1",
}
TESTS = {path for path in MODULES if path.endswith("_test.rego")}


def chosen(*files: str) -> set[str]:
    return set(needed(MODULES, TESTS - set(files)))


def test_rules_are_always_needed_and_tests_only_when_referred_to() -> None:
    assert chosen() == {"deny.rego"}
    assert chosen("other_test.rego") == {"deny.rego", "other_test.rego"}


def test_what_is_needed_needs_what_it_needs() -> None:
    fixtures = {"fixtures_test.rego", "more_test.rego"}
    assert chosen("deny_test.rego") == {"deny.rego", "deny_test.rego", *fixtures}


def test_a_package_as_a_value_needs_all_below_it() -> None:
    below = {"deny_test.rego", "other_test.rego"}
    assert chosen("all_test.rego") >= {"all_test.rego", *below}


def test_files_of_one_package_need_each_other_by_the_names_they_use() -> None:
    used = {**MODULES, "other_test.rego": "package p.deny.other_test\ntest_b if helper == 1"}
    assert "same_test.rego" in needed(used, TESTS - {"other_test.rego"})
    assert "same_test.rego" not in chosen("other_test.rego")
