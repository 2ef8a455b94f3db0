import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import regopy

from scopebound_engine.errors import EngineError
from scopebound_engine.rego.binary.decoding import decode
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan

# As many kinds of statements as rules can be made to compile to.
POLICY = """package t
import rego.v1
x if { y; count(d) > 0; o["k"] == 3 }
y if { every a in [1, 2] { a < 3; a != 5 } }
n := null
d contains a if { some a in [1, 2]; not {1} == {a} }
o[k] := v if some k, v in {"k": 3}
p := {"a": [1, {2}], "b": {"c": 1.5, "d": 9223372036854775808}}
q := data[input.x].foo
r if y with input.a.b as "c"
s := a if [a, _] = input.p
u := a if {"a": a} = input.p
v := {a: b | some a, b in input.o} if not input.z
w(a) := 1 if a == "é" else := -2
default z := false
z if data.config.on
"""
DATA = {"config": {"on": True, "list": [1, "two", 2.5, None]}}


def saved() -> tuple[bytes, dict[str, Any]]:
    """The engine's own two forms of one plan."""
    builder = regopy.Interpreter()
    builder.add_module("0", POLICY)
    builder.add_data_json(json.dumps(DATA))
    bundle = builder.build(None, ["t/x", "t/z", "t"])
    with tempfile.TemporaryDirectory() as folder:
        builder.save_bundle(folder, bundle, regopy.BundleFormat.JSON)
        builder.save_bundle(f"{folder}/binary", bundle, regopy.BundleFormat.Binary)
        plan = json.loads((Path(folder) / "plan.json").read_bytes())
        return (Path(folder) / "binary").read_bytes(), plan


def placeless(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: item for key, item in node.items() if key not in {"file", "row", "col"}}
        return {key: placeless(item) for key, item in kept.items()}
    return [placeless(item) for item in node] if isinstance(node, list) else node


def test_what_is_read_is_what_the_engine_writes_as_json() -> None:
    data, plan = saved()
    document, _ = decode(data)
    assert document["funcs"] == placeless(plan["funcs"])
    assert document["plans"] == placeless(plan["plans"])
    assert document["static"]["strings"] == plan["static"]["strings"]


def test_what_is_written_is_what_the_engine_wrote() -> None:
    data, _ = saved()
    document, frame = decode(data)
    functions = [function["name"] for function in document["funcs"]["funcs"]]
    assert Encoder(document, frame).encode(["t/x", "t/z", "t"], functions) == data


def test_a_part_of_a_plan_is_a_plan_with_all_the_data() -> None:
    document, frame = decode(saved()[0])
    part = Encoder(document, frame).encode(["t/z"], ["g0.data.t.z"])
    assert len(part) < len(saved()[0]) / 2
    assert LoadedPlan(part).holds("t/z")


@pytest.mark.parametrize("place", [0, 8, 9, 300])
def test_other_versions_and_damage_are_refused(place: int) -> None:
    data = bytearray(saved()[0])
    data[place] ^= 1
    with pytest.raises(EngineError):
        decode(bytes(data))
