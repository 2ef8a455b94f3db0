"""Rego with its layout thrown away: blanks, line breaks, comments and separators by chance."""

from random import Random

from scopebound_engine.rego.source.scanner import Scanner
from scopebound_engine.rego.source.tokens import Source

_INFIX = frozenset((":=", "=", "==", "!=", "<", ">", "<=", ">=", "+", "*", "/", "%", "|", "&", ","))
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_BLANKS = ("", " ", "  ", "\t", "\t ")


def scattered(text: str, random: Random, *, comments: bool = True) -> str:
    """The same program in a layout of chance; comments are lost, and others may be there."""
    source = Source("", text)
    scanner, parts = Scanner(source), [source.tokens[0].text]
    for index in range(1, len(source.tokens)):
        parts += [_between(scanner, index, random, comments), source.tokens[index].text]
    return "".join(parts) + random.choice(("", "\n", "\r\n\n"))


def _between(scanner: Scanner, index: int, random: Random, comments: bool) -> str:
    tokens = scanner.source.tokens
    before, after = tokens[index - 1], tokens[index]
    if scanner.line_ends(index):
        return _break(random, comments)
    if before.end == after.start and (after.text in {"(", "[", "."} or before.text in {".", "-"}):
        return ""
    if (before.text, after.text) == ("(", ")"):
        return ""  # the engine knows the empty set by this
    may_break = before.text in _INFIX | _OPENING or after.text in (_INFIX | _CLOSING) - {"."}
    if may_break and random.random() < 0.2:
        return _break(random, comments)
    apart = before.kind == after.kind == "name" or {before.kind, after.kind} == {"name", "number"}
    apart = apart or after.text in {"(", "["} or (before.text, after.text) == ("-", "-")
    return " " if apart else random.choice(_BLANKS)


def _break(random: Random, comments: bool) -> str:
    end = random.choice(("\n", "\n", "\n", "\r\n", "\n\n", " \n\n\n"))
    blank = random.choice(_BLANKS)
    if not comments:
        return f"{end}{blank}"
    beside = random.choice(("", "", "", f" # {random.randrange(10**6)}", f"#{random.random()}\t"))
    above = random.choice(("", "", "", f"\t# {random.randrange(10**6)}\n", "\n# a\n\n\n  # b\n"))
    return f"{beside}{end}{above}{blank}"
