"""Policies with one kind of denial, and what a second engine makes of calls of them."""

import json
from collections.abc import Mapping
from typing import Any

import regorus

from scopebound_engine.rego.checks.demands import Demands
from scopebound_engine.rego.checks.values import Values
from tests.rego.plans import plan_of

HEAD = """package t
decision := {"allow": allow, "violations": [v | some v in violation]}
default allow := false
allow if count(violation) == 0
deny(reason) := {"code": "X", "severity": "low", "reason": reason, "retry_guidance": "none"}
"""
# The line on which the rules of a test begin.
FIRST = HEAD.count("\n") + 1
DATA = {"limits": {"pay": 1}}


def denies(condition: str, reason: str = '"r"') -> str:
    """A rule that denies."""
    return f"violation contains deny({reason}) if {{ {condition} }}"


def bodies(*rules: str) -> Demands:
    """The bodies of a policy with these rules."""
    return Demands(Values(plan_of(HEAD + "\n".join(rules), entrypoint="t/decision"), DATA))


def allowed(*rules: str, call: Mapping[str, Any]) -> bool:
    """Whether the second engine allows a call by a policy with these rules."""
    engine = regorus.Engine()
    engine.add_policy("t.rego", HEAD + "\n".join(rules))
    engine.add_data_json(json.dumps(DATA))
    engine.set_input_json(json.dumps(call))
    return engine.eval_rule("data.t.allow") is True
