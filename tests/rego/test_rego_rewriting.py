from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scopebound_engine.rego import rewriting as ir
from scopebound_engine.rego.binary.encoding import Encoder
from scopebound_engine.rego.compiler import LoadedPlan, compile_placed
from scopebound_engine.rego.rewriting import Spot, Strings, Variables

POLICY = """package t

x if {
	some item in [1, 2, 3]
	item > 2
	not twice(item) == 5
}

twice(n) := n * 2
"""


def compiled() -> tuple[dict[str, Any], Any]:
    return compile_placed({"t.rego": POLICY}, ["t/x"], {})


def names(statements: Sequence[Any]) -> list[str]:
    return [statement["type"].removesuffix("Stmt") for statement in statements]


def test_lists_come_outer_ones_first_each_statement_with_the_last_place_before_it() -> None:
    document, _ = compiled()
    (x,) = (item for item in document["funcs"]["funcs"] if item["name"] == "g0.data.t.x")
    found = ir.listings(x)
    assert [names(listing.statements)[:1] for listing in found] == [
        ["ResetLocal"],
        ["Block"],
        ["MakeArray"],
        ["AssignVar"],
        ["ResetLocal"],
        ["IsDefined"],
    ]
    scan, negated = found[3], found[4]
    assert "Not" in names(scan.statements)
    assert {spot.row for spot in scan.spots if spot} == {3, 4, 5}
    assert set(negated.spots) == {Spot(0, 5, 1), Spot(0, 5, 5)}
    assert all(listing.function is x for listing in found)
    assert len(ir.walk(document)) == len(found) + len(ir.listings(document["funcs"]["funcs"][0]))


def test_what_is_found_may_be_changed_while_it_is_gone_through() -> None:
    document, _ = compiled()
    before = len(ir.walk(document))
    for listing in ir.walk(document):
        listing.statements.append(ir.alternatives([], []))
    assert len(ir.walk(document)) == before * 3


def test_new_variables_are_used_by_no_statement_and_keep_their_value_between_functions() -> None:
    document, frame = compiled()
    variables, strings = Variables(frame.locals), Strings(document["static"]["strings"])
    log, result, told, doubled = (variables.new() for _ in range(4))
    for listing in ir.walk(document):
        if listing.function["name"].endswith("twice"):
            seen = ir.append(log, ir.local(listing.function["params"][2]))
            listing.statements.insert(0, seen)
    (plan,) = document["plans"]["plans"]
    key = ir.text(strings.index('"result"'))
    plan["blocks"] = [
        {
            "stmts": [
                ir.make_array(log),
                ir.alternatives(plan["blocks"][0]["stmts"]),
                ir.make_int(-7, told),
                ir.append(log, ir.local(told)),
                ir.call("plus", [ir.local(told), ir.local(told)], doubled),
                ir.append(log, ir.local(doubled)),
                ir.append(log, ir.text(strings.index('"é"'))),
                ir.alternatives(
                    [ir.defined(variables.new()), ir.append(log, ir.boolean(False))],
                    [ir.append(log, ir.boolean(True))],
                ),
                ir.make_object(result),
                ir.insert(result, key, ir.local(log)),
                ir.dot(ir.local(result), key, told),
                ir.reset(log),
                ir.insert(result, key, ir.local(told)),
                ir.add_result(result),
            ]
        }
    ]
    functions = [item["name"] for item in document["funcs"]["funcs"]]
    encoder = Encoder(document, replace(frame, locals=variables.count))
    value = LoadedPlan(encoder.encode(["t/x"], functions)).value("t/x")
    assert set(value[:-4]) == {3}
    assert value[-4:] == [-7, -14, "é", True]


def test_a_string_stands_in_the_table_once() -> None:
    table = [{"value": "a"}, {"value": '"b"'}]
    strings = Strings(table)
    assert [strings.index(text) for text in ("a", "b", '"b"', "b")] == [0, 2, 1, 2]
    assert table[2:] == [{"value": "b"}]
