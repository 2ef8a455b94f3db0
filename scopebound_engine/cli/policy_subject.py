"""What commands that decide take: policies in a folder or a bundle, and facts."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from scopebound_engine.cli.explanations import Place
from scopebound_engine.errors import ConfigError

if TYPE_CHECKING:
    from scopebound_engine.author.subject import Subject
    from scopebound_engine.rego.program import Program

# The largest body that a server takes, twice; see config.py.
_MOST_BYTES: Final = 16 << 20

facts_option = click.option(
    "-i",
    "--input",
    "facts_file",
    metavar="FILE",
    required=True,
    help="The facts, a JSON document; - for standard input.",
)


def subject_of(source: Path, manifest: Path | None = None) -> "tuple[Subject, Place]":
    """What decides, and where its files lie. Raises ConfigError, FindingsError."""
    from scopebound_engine.author import folder, subject

    if source.is_dir():
        sources = folder.read(source, manifest)
        return subject.of_folder(sources), sources.path
    if manifest is not None:
        raise click.UsageError("a bundle has its own manifest; --manifest is for folders.")
    return subject.of_archive(source), str


def program_of(source: Path, entrypoint: str) -> "Program":
    """The same with a rule of its own to ask. Raises ConfigError, FindingsError."""
    from scopebound_engine.author import folder, subject

    if source.is_dir():
        return subject.program_in(folder.read(source), entrypoint)
    return replace(subject.of_archive(source).program, entrypoint=entrypoint)


def read_facts(file: str) -> dict[str, Any]:
    """The facts in a file. Raises ConfigError, InputError, FindingsError."""
    from scopebound_engine.author import facts_file

    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as source:
                data = source.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}.") from error
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{name} has more than {_MOST_BYTES >> 20} MiB.")
    return facts_file.read(data, name)
