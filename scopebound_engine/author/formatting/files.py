"""Rego files in OPA's style. A file is rewritten only if it stays the same program.

What is read, formatted and compared is so in a child process, by `formatting.job`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from scopebound_engine import whole_file
from scopebound_engine.errors import ConfigError, EvaluatorCrashedError, Finding
from scopebound_engine.rego.sandbox import decode_record, stream_from_child

_JOB: Final = "scopebound_engine.author.formatting.job:format_all"
_SECONDS: Final = 30.0
_SECONDS_EACH: Final = 1.0
_SUFFIX: Final = ".rego"

State = Literal["clean", "changed", "unfit", "refused"]


@dataclass(frozen=True)
class Formatted:
    """A file. Its text `after` is `before` unless it is "changed".

    One that is "unfit" does not parse, as `findings` tell; for one that is "refused" the formatter
    has a defect, which `defect` describes.
    """

    name: str
    before: str
    after: str
    state: State
    findings: tuple[Finding, ...] = ()
    defect: str = ""


def files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the .rego files of the folders named but for hidden ones, each once.

    Raises ConfigError where a folder holds none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(_inside(path)) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path} holds no {_SUFFIX} file; name the folder of the policies.")
        found |= dict.fromkeys(inside)
    return list(found)


def format_files(paths: Sequence[Path]) -> list[Formatted]:
    """The files in OPA's style; nothing is written.

    Raises ConfigError where one cannot be read, EngineError where it takes far too long.
    """
    read: dict[str, bytes] = {}
    for path in paths:
        try:
            read[str(path)] = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    return format_texts(read)


def format_texts(read: Mapping[str, bytes]) -> list[Formatted]:
    """Rego by the name it is to be called by, in OPA's style. Raises EngineError as above."""
    found = {name: _unread(name, data) for name, data in read.items()}
    waiting = {name: file.before for name, file in found.items() if file.state == "clean"}
    while waiting:
        for name, answer in zip(list(waiting), _answers(waiting), strict=False):
            found[name] = _judged(found[name], answer)
            del waiting[name]
    return list(found.values())


def write(file: Formatted) -> None:
    """Put the formatted text in place of a file, whose mode it keeps. Raises ConfigError."""
    path = Path(file.name)
    try:
        whole_file.write(path, file.after.encode(), mode=path.stat().st_mode & 0o7777)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def _inside(folder: Path) -> Iterator[Path]:
    for path in folder.rglob(f"*{_SUFFIX}"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _unread(name: str, data: bytes) -> Formatted:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        finding = Finding("parse", "is not UTF-8", name, line, 1, "save it as UTF-8")
        return Formatted(name, "", "", "unfit", (finding,))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        finding = Finding("parse", "contains NUL, after which nothing is read", name, line, 1)
        return Formatted(name, text, text, "unfit", (finding,))
    return Formatted(name, text, text, "clean")


def _answers(modules: Mapping[str, str]) -> Iterator[Any]:
    """What the child says of each; where it dies, that is said of the one it was at."""
    seconds = _SECONDS + _SECONDS_EACH * len(modules)
    try:
        yield from stream_from_child(_JOB, dict(modules), seconds=seconds)
    except EvaluatorCrashedError as error:
        yield {"defect": f"it could not be compared: {error}"}


def _judged(file: Formatted, answer: Any) -> Formatted:
    if "findings" in answer:
        found = tuple(decode_record(Finding, finding) for finding in answer["findings"])
        return replace(file, state="unfit", findings=found)
    if "defect" in answer:
        return replace(file, state="refused", defect=str(answer["defect"]))
    after = str(answer["after"])
    return replace(file, after=after, state="clean" if after == file.before else "changed")
