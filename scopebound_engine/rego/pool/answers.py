"""What an evaluator's process says of some facts, for the wire; see `wire.py` and `replies.py`."""

import json
from collections.abc import Mapping
from typing import Any

from scopebound_engine.errors import EvaluationError
from scopebound_engine.rego.engine import Compiled
from scopebound_engine.rego.pool import wire


def answer(compiled: Compiled, facts: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The kind of a reply, and what follows it."""
    try:
        outcome = compiled.evaluate(facts)
    except EvaluationError as error:
        return wire.FAILED, as_json(str(error))
    if outcome.allow:
        return wire.ALLOW, b""
    body = as_json(outcome.violations)
    if len(body) > wire.MAX_REPLY_BYTES:
        return wire.FAILED, as_json(f"the violations are {len(body)} bytes of JSON; shorten them")
    return wire.DENY, body


def as_json(value: Any) -> bytes:
    """A value that the policy made, or some words about it."""
    # A lone surrogate makes the parent refuse the reply.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
