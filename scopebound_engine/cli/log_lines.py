"""A record of the decision log in one line of a terminal.

Much of what a record says was said by an agent, or by whoever stood behind it: nothing of it is
written as it is, and none of it has to be what it should be.
"""

from typing import Any, Final

import click

from scopebound_engine.cli.log_query import Line
from scopebound_engine.cli.terminal import printable

COLORS: Final = {"allow": "green", "deny": "red"}
_TIME: Final = len("2026-04-29T12:00:00.123")
_LONGEST: Final = 60
_LONGEST_REASON: Final = 300


def row(line: Line) -> str:
    """Time, verdict, deny code or event, role, tool, session, and why."""
    record = line["record"]
    verdict, code = text(record, "decision"), text(record, "deny_code")
    cells = (
        cut(code or text(record, "event")).ljust(25),
        cut(text(record, "role", "name") or text(record, "subject", "name") or "-").ljust(20),
        cut(text(record, "tool_name") or "-").ljust(20),
        cut(text(record, "session", "id") or "-").ljust(36),
        cut(why(record), _LONGEST_REASON),
    )
    at = cut(text(record, "at"))[:_TIME].ljust(_TIME)
    colored = click.style(cut(verdict or "-").ljust(5), fg=COLORS.get(verdict))
    return f"{at}  {colored}  {'  '.join(cells)}".rstrip()


def why(record: Any) -> str:
    """The reason of a denial, or what there is to say of something else."""
    if reason := text(record, "violations", "reason"):
        more = len(record["violations"]) - 1 if isinstance(record["violations"], list) else 0
        return reason if more < 1 else f"{reason} (and {more} more)"
    if replayed := text(record, "replayed"):
        return f"repetition {replayed} of the call {text(record, 'call_id')}"
    parts = (("by", text(record, "actor", "name")), ("of", text(record, "of")))
    about = " ".join(f"{word} {said}" for word, said in parts if said)
    told = text(record, "details", "problem") or text(record, "details", "reason")
    return ": ".join(part for part in (about, told) if part)


def text(record: Any, *path: str) -> str:
    """What is said there: empty where nothing is, or nothing of one line. Of a list the first."""
    value = record
    for name in path:
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def cut(said: str, longest: int = _LONGEST) -> str:
    """So much of it, with nothing in it that a terminal would act on."""
    return printable(said if len(said) <= longest else said[: longest - 1] + "…")
