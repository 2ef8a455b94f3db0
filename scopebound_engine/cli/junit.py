"""Results as JUnit XML, which continuous integration reads.

After the schema that Jenkins and others hold reports to (junit-10.xsd of
https://github.com/jenkinsci/xunit-plugin): suites of a file each, with its cases; times in seconds,
with three decimals at most.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from scopebound_engine.author.tests import Report, TestResult

# What XML 1.0 has no place for, not even escaped (https://www.w3.org/TR/xml/#charsets).
_UNFIT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(report: Report) -> bytes:
    """The report as a document in UTF-8."""
    every = _counts("policy test", report.results, report.seconds)
    root = Element("testsuites", {name: every[name] for name in every if name != "skipped"})
    for file, group in groupby(report.results, key=lambda result: result.file):
        results = list(group)
        seconds = sum(result.seconds for result in results)
        suite = SubElement(root, "testsuite", _counts(file, results, seconds))
        for result in results:
            _add(suite, result)
    indent(root)
    xml: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return xml + b"\n"


def details(result: TestResult) -> Iterator[str]:
    """Why a result is bad, a line for each thing that is known."""
    yield f"{result.file}:{result.line}"
    if result.expression:
        yield result.expression
    if result.message:
        yield result.message
    yield from (f"{seen.text} = {seen.value}" for seen in result.seen)


def _add(suite: Element, result: TestResult) -> None:
    group, _, name = result.name.rpartition(".") if result.file.endswith(".rego") else ("", "", "")
    case = SubElement(
        suite,
        "testcase",
        {
            "classname": _fit(group or result.file),
            "name": _fit(name or result.name),
            "time": f"{result.seconds:.3f}",
        },
    )
    if result.outcome == "skipped":
        SubElement(case, "skipped")
    elif result.outcome in {"failed", "error"}:
        kind = "failure" if result.outcome == "failed" else "error"
        message = result.expression or result.message or "is not true"
        problem = SubElement(case, kind, {"message": _fit(message), "type": kind})
        problem.text = _fit("\n".join(details(result)))


def _counts(name: str, results: Sequence[TestResult], seconds: float) -> dict[str, str]:
    outcomes = [result.outcome for result in results]
    counted = {"name": _fit(name), "tests": str(len(outcomes))}
    for attribute, outcome in (("failures", "failed"), ("errors", "error"), ("skipped", "skipped")):
        counted[attribute] = str(outcomes.count(outcome))
    return counted | {"time": f"{seconds:.3f}"}


def _fit(text: str) -> str:
    """The text with control characters spelled out."""
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
