import pytest

from scopebound_engine.errors import CompileError
from scopebound_engine.rego.blame import placed
from scopebound_engine.rego.compiler import compile_plan

SOUND = "package a\n\nfine if input.x[_] == 1\n"
BROKEN = """package b

first if input.x[_] == 1

second if {
	input.x[_] == 2
	count(input.y[_]) == 3
}

third := {"v": input.z[_]}
"""


def refused(modules: dict[str, str]) -> list[str]:
    with pytest.raises(CompileError) as caught:
        compile_plan(modules, ["any/thing"])
    assert not any(finding.file for finding in caught.value.findings)
    found = placed(caught.value.findings, modules)
    return [f"{item.file}:{item.line}:{item.column} {item.message[:30]}" for item in found]


def test_every_rule_that_does_not_compile_is_named_with_its_expression() -> None:
    assert refused({"a.rego": SOUND, "b.rego": BROKEN}) == [
        "b.rego:7:16 the engine does not take [_] i",
        "b.rego:10:24 the engine does not take [_] i",
    ]


def test_what_no_rule_says_by_itself_stays_as_it_is() -> None:
    findings = CompileError("it is odd").findings
    assert placed(findings, {"a.rego": SOUND}) == findings
