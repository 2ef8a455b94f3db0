"""Bundles and calls of the sizes that are asked for."""

import json

import pytest

from scopebound_engine.bundle.format.manifest import Manifest
from tests.bench import scenario
from tests.bench.rules import with_rules


@pytest.mark.parametrize("count", [9, 12, 50, 150])
def test_a_bundle_has_a_file_and_a_declaration_for_each_rule(count: int) -> None:
    files = with_rules(count, f"2.0.{count}")
    denying = [name for name in files if name.startswith("scopebound/deny/")]
    codes = {declared.code.lower() for declared in Manifest.of(files).deny_codes}
    assert len(denying) == len(codes) == count
    assert {name.removeprefix("scopebound/deny/") for name in denying} == {
        f"{code}.rego" for code in codes
    }


@pytest.mark.parametrize("size", [200, 2_000, 20_000])
def test_arguments_have_the_bytes_that_are_asked_for(size: int) -> None:
    assert len(json.dumps(scenario.with_bytes(size).arguments)) == size


@pytest.mark.parametrize("count", [10, 100, 1_000, 10_000])
def test_arguments_have_the_values_that_are_asked_for(count: int) -> None:
    arguments = scenario.with_values(count).arguments
    assert len(arguments["invoice_ids"]) + len(scenario.ARGUMENTS) == count


@pytest.mark.parametrize("count", [3, 30, 300])
def test_a_role_has_so_many_tools_and_the_call_is_of_one(count: int) -> None:
    found = scenario.with_tools(count)
    assert len(set(found.role["allowed_tools"])) == count
    assert found.tool in found.role["allowed_tools"]
