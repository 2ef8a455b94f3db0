"""The promise of a diff: layout never counts, and every token does."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import regorus
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from scopebound_engine.bundle.diff import compare
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.rego.source.tokens import Source, Token

ROOT = Path(__file__).parents[2]
SHIPPED = build(ROOT / "policies", ROOT / "manifest.json")
MODULES = sorted(name for name in SHIPPED if name.endswith(".rego"))


@pytest.mark.parametrize("name", MODULES)
def test_reformatted_policies_are_the_same(name: str) -> None:
    text = SHIPPED[name].decode()
    for number in range(3):
        changed = reformatted(text, random.Random(number))
        assert changed != text
        # A second engine finds it Rego.
        regorus.Engine().add_policy(name, changed)
        assert compare(alone(name, text), alone(name, changed)).same


@seed(20261)
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MODULES), st.randoms(use_true_random=False))
def test_every_token_of_a_rule_counts(name: str, chance: random.Random) -> None:
    text = SHIPPED[name].decode()
    token = chance.choice(list(telling(text)))
    changed = text[: token.start] + other(token, chance) + text[token.end :]
    found = compare(alone(name, text), alone(name, changed))
    assert found.tests if name.endswith("_test.rego") else found.rules


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.endswith(".json")])
def test_reformatted_documents_are_the_same(name: str) -> None:
    document = json.loads(SHIPPED[name])
    changed = json.dumps(dict(reversed(document.items())), separators=(" ,\n", "\t: "))
    assert compare(SHIPPED, SHIPPED | {name: changed.encode()}).same


def test_a_bundle_packed_anew_is_the_same() -> None:
    assert compare(SHIPPED, archive.read(archive.write(SHIPPED))).same


_OPERATORS = {":=", "==", "!=", "<", ">", "<=", ">=", "+", "*", "/", "%"}
_COMMENT = '# p := {"a": `'


def alone(name: str, text: str) -> dict[str, bytes]:
    return {name: text.encode(), "manifest.json": SHIPPED["manifest.json"]}


def reformatted(text: str, chance: random.Random) -> str:
    """The same Rego with other blanks, line breaks and comments, wherever they may be."""
    tokens = Source("a.rego", text).tokens
    parts = [blank(text, None, tokens[0], chance)]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        parts += [token.text, blank(text, token, following, chance)]
    return "".join(parts) + "\n"


def blank(text: str, before: Token | None, after: Token | None, chance: random.Random) -> str:
    """What may stand between two tokens in place of what stands there."""
    if before is None or after is None:
        return line_end(chance)
    was = text[before.end : after.start]
    breaks = before.text in _OPERATORS | {",", "(", "["} or after.text in _OPERATORS
    if "\n" in was:
        return line_end(chance) + chance.choice(["", "\t", "  "])
    if after.text in {"(", "[", "."} or before.text == ".":
        return was
    if breaks and chance.random() < 0.3:
        return line_end(chance)
    if was or after.kind == "punctuation" or before.kind == "punctuation":
        return chance.choice([" ", "\t", "  "])
    return was


def line_end(chance: random.Random) -> str:
    return chance.choice(["\n", "\r\n", f" {_COMMENT}\n", "\n\n\t\n", f"\n{_COMMENT}\n"])


def telling(text: str) -> Iterator[Token]:
    """The tokens of a module's rules, but for commas, of which some end nothing."""
    tokens = Source("a.rego", text).tokens
    lines = text.splitlines()
    for token in tokens:
        line = lines[text.count("\n", 0, token.start)]
        if token.text != "," and not line.startswith(("package", "import")):
            yield token


def other(token: Token, chance: random.Random) -> str:
    """Another token in its place."""
    if token.kind == "name":
        return token.text + chance.choice(["_", "2", "x"])
    if token.kind == "number":
        return token.text + "1"
    if token.kind in {"string", "raw"}:
        at = chance.randrange(1, len(token.text))
        return token.text[:at] + chance.choice([" ", "#", "é"]) + token.text[at:]
    return chance.choice([text for text in ("==", "<", "|", "&", ")") if text != token.text])
