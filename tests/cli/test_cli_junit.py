import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from scopebound_engine.author.tests import Report, Seen, TestResult
from scopebound_engine.cli import junit

# What junit-10.xsd of the Jenkins plug-in lets an element have.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "time", "tests", "failures", "errors", "skipped"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message", "type"},
}
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error", "skipped"},
}
TIME = re.compile(r"[0-9]+(\.[0-9]{0,3})?")
PASSED = TestResult("data.shop_test.test_open", "shop/shop_test.rego", 3, "passed", 0.0123456)
FAILED = TestResult(
    "data.shop_test.test_late",
    "shop/shop_test.rego",
    9,
    "failed",
    1234.5,
    expression='shop.open with input as "<&]]>"',
    seen=(Seen("shop.open", "undefined"), Seen("input", '"<&]]>"')),
)
BROKEN = TestResult(
    "data.shop_test.test_\x07\ud800", "other/shop_test.rego", 1, "error", message="\x1b[31m\0\ufffe"
)
SKIPPED = TestResult("data.shop_test.todo_test_x", "other/shop_test.rego", 2)
CASE = TestResult(
    "a refund, on Sunday. At night", "shop/night_cases.yaml", 4, "failed", message="expected allow"
)


def parsed(*results: TestResult) -> Element:
    tests = tuple(result for result in results if result is not CASE)
    cases = tuple(result for result in results if result is CASE)
    return ElementTree.fromstring(junit.document(Report(tests, cases, 1.23456)))


def check(element: Element) -> None:
    """That the schema knows all of an element."""
    assert set(element.keys()) <= ATTRIBUTES[element.tag]
    assert set(element.keys()) >= REQUIRED.get(element.tag, set())
    assert TIME.fullmatch(element.get("time", "0"))
    for child in element:
        assert child.tag in CHILDREN[element.tag]
        check(child)


def test_it_is_as_the_schema_wants_it() -> None:
    check(parsed(PASSED, FAILED, BROKEN, SKIPPED, CASE))


def test_a_suite_is_a_file_and_counts_its_own() -> None:
    root = parsed(PASSED, FAILED, BROKEN, SKIPPED, CASE)
    counts = [
        [suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")]
        for suite in root
    ]
    assert counts == [
        ["shop/shop_test.rego", "2", "1", "0", "0"],
        ["other/shop_test.rego", "2", "0", "1", "1"],
        ["shop/night_cases.yaml", "1", "1", "0", "0"],
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "2", "1")
    assert (root.get("time"), root[0].get("time")) == ("1.235", "1234.512")


def test_a_case_is_named_by_its_rule_in_its_package_or_by_its_name_in_its_file() -> None:
    root = parsed(PASSED, CASE)
    assert [(case.get("classname"), case.get("name")) for case in root.iter("testcase")] == [
        ("data.shop_test", "test_open"),
        ("shop/night_cases.yaml", "a refund, on Sunday. At night"),
    ]


def test_a_failure_says_all_that_is_known() -> None:
    (failure,) = parsed(FAILED).iter("failure")
    assert failure.get("message") == 'shop.open with input as "<&]]>"'
    assert failure.text == "\n".join(
        [
            "shop/shop_test.rego:9",
            'shop.open with input as "<&]]>"',
            "shop.open = undefined",
            'input = "<&]]>"',
        ]
    )


def test_what_xml_has_no_place_for_is_spelled_out() -> None:
    root = parsed(BROKEN)
    (case,) = root.iter("testcase")
    (error,) = root.iter("error")
    assert case.get("name") == r"test_\x07\ud800"
    assert error.get("message") == r"\x1b[31m\x00\ufffe"
