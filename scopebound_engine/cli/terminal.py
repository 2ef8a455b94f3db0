"""What is written on a terminal: foreign text, columns, JSON, and what is being waited for."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

_ERASE_LINE: Final = "\r\x1b[K"
_TICK_SECONDS: Final = 0.2


def printable(text: str) -> str:
    """The text with what a terminal would act on (escape sequences, line breaks) spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def fields(*pairs: tuple[str, Any]) -> None:
    """Write what something is, a line for each of its fields."""
    for name, value in pairs:
        click.echo(printable(f"{name:<11}{value}"))


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Write rows of equally many cells below a title, in columns."""
    click.echo(f"\n{title}")
    for line in columns(rows):
        click.echo(f"  {line}")


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of equally many cells as lines, each column as wide as its widest cell."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def json_document(value: Any) -> None:
    """Write a value as JSON, in ASCII: a terminal acts on some other characters as well."""
    click.echo(json.dumps(value, indent=2))


@contextmanager
def waiting(what: str, progress: Callable[[], str] = str) -> Iterator[None]:
    """On a terminal say what the block waits for, and how far and how long; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    clock = threading.Thread(target=_tick, args=(what, progress, over), daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()
        click.echo(_ERASE_LINE, nl=False, err=True)


def _tick(what: str, progress: Callable[[], str], over: threading.Event) -> None:
    started = time.monotonic()
    while True:
        seconds = time.monotonic() - started
        click.echo(f"{_ERASE_LINE}{what} … {progress()}{seconds:.0f} s", nl=False, err=True)
        if over.wait(_TICK_SECONDS):
            return
