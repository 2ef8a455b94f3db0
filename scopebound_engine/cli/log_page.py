"""A record of the decision log on a terminal, for people: all that it says."""

import json
from collections.abc import Iterator
from typing import Any, Final

import click

from scopebound_engine.cli.log_lines import COLORS, text
from scopebound_engine.cli.log_query import Line
from scopebound_engine.cli.terminal import fields, printable

_ARGUMENTS: Final = "call_args"
_STAGES: Final = ("token", "state", "facts", "policy")
# What is told in words; whatever else a record has comes as JSON.
_TOLD: Final = frozenset(
    {
        *("id", "at", "at_us", "event", "node", "engine", "decision", "deny_code", "violations"),
        *("tool_name", "mcp_server", "call_id", "agent", "role", "session", "request", "bundle"),
        *("latency_ms", "clock", "input", "call", "reproducible", "masked", "actor", "subject"),
    }
)


def write(line: Line) -> None:
    """Write what was decided of whom and why, and then on what grounds."""
    record, chain = line["record"], line["chain"]
    verdict = text(record, "decision")
    title = f"{verdict or text(record, 'event')} {text(record, 'deny_code')}".rstrip()
    click.echo(click.style(printable(title), fg=COLORS.get(verdict), bold=True))
    said = (*_what(record), *_who(record), *_how(record), *_where(record, chain))
    fields(*(pair for pair in said if pair[1]))
    _violations(record.get("violations"))
    asked = record.get("input", record.get("call"))
    facts = dict(asked) if isinstance(asked, dict) else {"input": asked} if asked else {}
    _section("arguments", facts.pop(_ARGUMENTS, None))
    _section("facts", facts)
    for name in sorted(record.keys() - _TOLD):
        _section(printable(name), record[name])


def _what(record: Any) -> Iterator[tuple[str, str]]:
    yield "id", text(record, "id")
    yield "at", text(record, "at")
    yield "event", text(record, "event")
    yield "tool", _parts(record, "tool_name", server="mcp_server", call="call_id")
    yield "subject", _parts(record.get("subject"), "name", id="id", type="type")


def _who(record: Any) -> Iterator[tuple[str, str]]:
    request = record.get("request")
    yield "role", _parts(record.get("role"), "name", id="id", revision="revision")
    yield "session", _parts(record.get("session"), "id", parent="parent", root="root", key="kid")
    yield "actor", _parts(record.get("actor"), "name", key="api_key_id")
    yield "from", _parts(request, "peer", key="api_key_id", trace="traceparent")
    path = f"{text(request, 'method')} {text(request, 'path')}".strip()
    yield "request", " ".join(filter(None, (path, _parts(request, "id", status="status"))))


def _how(record: Any) -> Iterator[tuple[str, str]]:
    bundle = record.get("bundle")
    yield "bundle", _parts(bundle, "version", generation="generation", checksum="checksum")
    took = record.get("latency_ms")
    stages = ", ".join(f"{name} {text(took, name)}" for name in _STAGES if text(took, name))
    yield "timing", f"{text(took, 'total')} ms: {stages}" if stages else ""
    if skew := text(record, "clock", "skew_ms"):
        yield "clock", f"{skew} ms ahead of the database's"
    if "reproducible" in record:
        masked = ", ".join(_texts(record.get("masked")))
        suffices = "yes" if record["reproducible"] is True else "no"
        yield "suffices", f"{suffices}, to decide again{masked and f'; masked are {masked}'}"


def _where(record: Any, chain: Any) -> Iterator[tuple[str, str]]:
    yield "chain", f"line {text(chain, 'seq')} of node {text(chain, 'node')}"
    yield "after", text(chain, "prev")
    yield "engine", text(record, "engine")


def _parts(part: Any, main: str, **more: str) -> str:
    """One thing and in parentheses what else there is of it, by its name."""
    rest = ", ".join(f"{name} {said}" for name, key in more.items() if (said := text(part, key)))
    return " ".join(filter(None, (text(part, main), f"({rest})" if rest else "")))


def _texts(found: Any) -> list[str]:
    return list(map(str, found)) if isinstance(found, list) else []


def _violations(found: Any) -> None:
    if not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        _section("violations", found)
        return
    for each in found:
        click.echo(f"\n{printable(_parts(each, 'code', severity='severity'))}")
        click.echo(f"  {printable(text(each, 'reason'))}")
        for rule in _texts(each.get("rules")):
            click.echo(f"  rule {printable(rule)}")
        if retry := _parts(each, "retry_guidance", seconds="retry_after_seconds"):
            click.echo(f"  retry {printable(retry)}")


def _section(title: str, value: Any) -> None:
    """A value as JSON, which spells out line breaks; the rest of what acts on a terminal is too."""
    if value in (None, {}, []):
        return
    click.echo(f"\n{title}")
    for line in json.dumps(value, indent=2, ensure_ascii=False).split("\n"):
        click.echo(f"  {printable(line)}")
