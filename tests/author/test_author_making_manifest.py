import json
from pathlib import Path

import pytest

from scopebound_engine.author.making.manifest import with_deny_code
from scopebound_engine.errors import ConfigError, ManifestError

ROOT = Path(__file__).parents[2]
ENTRY = {"code": "NIGHT_TRANSFER", "severity": "low", "description": 'Nächtliches "Überweisen"'}
HEAD = '{"name": "a", "version": "1.0.0", "entrypoint": "a/b", '
ONE = '{"code": "ABC", "severity": "low", "description": "]} \\" deny_codes"}'


def edited(text: str) -> str:
    return with_deny_code(text.encode(), ENTRY, "manifest.json").decode()


def test_the_shipped_manifest_gets_five_lines() -> None:
    before = (ROOT / "manifest.json").read_text()
    after = edited(before)
    assert json.loads(after)["deny_codes"] == [*json.loads(before)["deny_codes"], ENTRY]
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert added == [
        '      "code": "NIGHT_TRANSFER",',
        '      "description": "Nächtliches \\"Überweisen\\""',
    ]
    assert len(after.splitlines()) == len(before.splitlines()) + 5


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[" + ONE + "]", "[" + ONE + "," + "%s" + "]"),
        ("[" + ONE.replace("ABC", "DEF") + ", " + ONE + "]", None),
        ("[\n\t" + ONE + "\n  ]", "[\n\t" + ONE + ",\n\t%s\n  ]"),
    ],
)
def test_the_layout_is_that_of_the_last_entry(before: str, after: str | None) -> None:
    entry = json.dumps(ENTRY, ensure_ascii=False)
    expected = (after or before[:-1] + ", %s]") % entry
    assert edited(f'{HEAD}"deny_codes":{before}}}') == f'{HEAD}"deny_codes":{expected}}}'


def test_a_manifest_that_is_wrong_is_refused() -> None:
    with pytest.raises(ManifestError):
        edited("{}")
    with pytest.raises(ManifestError):
        edited(f'{HEAD}"deny_codes": [{json.dumps(ENTRY)}]}}')


def test_a_list_that_is_not_found_is_left_to_the_author() -> None:
    escaped = f'{HEAD}"deny\\u005fcodes": [{ONE}]}}'
    with pytest.raises(ConfigError, match="by hand"):
        edited(escaped)
