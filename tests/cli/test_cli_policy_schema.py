import json

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from scopebound_engine.author import schema
from scopebound_engine.author.facts_file import fits
from scopebound_engine.cli.policy import policy


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(policy, ["schema", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_the_schema_is_printed_as_it_is_published() -> None:
    document = json.loads(printed())
    assert printed() == schema.text()
    Draft202012Validator.check_schema(document)
    assert "tool_name" in document["properties"]


def test_the_example_fits_the_schema_and_has_every_name_in_it() -> None:
    example = json.loads(printed("--example"))
    document = json.loads(printed())
    Draft202012Validator(document).validate(example)
    assert fits(example)
    assert _names(document, document) - _paths(example) == set()


def test_help_tells_how_editors_come_to_know_it() -> None:
    told = printed("--help")
    for word in ("input.json", "--example", '"opa.schema"', "opa check --schema", "# schemas:"):
        assert word in told


def _names(node: dict[str, object], root: dict[str, object], path: str = "") -> set[str]:
    if "$ref" in node:
        node = root["$defs"][str(node["$ref"]).rpartition("/")[2]]  # type: ignore[index]
    below = node.get("properties", {})
    found = {f"{path}.{name}" for name in below}
    for name, item in below.items():
        found |= _names(item, root, f"{path}.{name}")
    return found | (_names(node["items"], root, f"{path}[]") if "items" in node else set())


def _paths(value: object, path: str = "") -> set[str]:
    found: set[str] = set()
    for name, item in value.items() if isinstance(value, dict) else ():
        found |= {f"{path}.{name}"} | _paths(item, f"{path}.{name}")
    for item in value if isinstance(value, list) else ():
        found |= _paths(item, f"{path}[]")
    return found


@pytest.mark.parametrize("wrong", [["x"], ["--yes"]])
def test_anything_else_is_wrong_usage(wrong: list[str]) -> None:
    assert CliRunner().invoke(policy, ["schema", *wrong]).exit_code == 2
