"""The mutants that no test can kill, each with the reason, as a file beside the policies.

    equivalents:
      - file: scopebound/deny/time_violation.rego
        rule: data.scopebound.deny.time_in_hours
        mutation: without `is_number(hour)`
        reason: The rule that names what is missing has refused such an hour before.

`mutation` is what `policy mutate` prints of a survivor: it stays the same where lines move. The
file stays with its author; it is no part of a bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from scopebound_engine import plain_yaml
from scopebound_engine.author.folder import Sources
from scopebound_engine.author.mutation.mutants import Mutant
from scopebound_engine.bundle.format.build import EQUIVALENTS
from scopebound_engine.errors import ConfigError, Finding, FindingsError
from scopebound_engine.rego.mutants.mutation import Mutation

_STEP: Final = "equivalents"
_KEY: Final = "equivalents"
# Shorter than this is no sentence.
_SENTENCE: Final = 15


@dataclass(frozen=True, slots=True)
class Entry:
    """A mutation that changes nothing, and why."""

    file: str
    rule: str
    mutation: str
    reason: str


_FIELDS: Final = tuple(field.name for field in fields(Entry))


class Equivalents:
    """The entries of a file, by line."""

    def __init__(self, path: Path, entries: Sequence[tuple[int, Entry]]) -> None:
        self._path, self._entries = path, entries
        self._reasons = {
            (entry.file, entry.rule, entry.mutation): entry.reason for _, entry in entries
        }

    @classmethod
    def of(cls, sources: Sources) -> Self:
        """Those of a folder of policies, none where it has no such file.

        Raises ConfigError where it cannot be read, FindingsError where it is not such a list or an
        entry gives no reason.
        """
        path = sources.folder / EQUIVALENTS
        if not path.exists():
            return cls(path, ())
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read as UTF-8: {error}.") from error
        document = plain_yaml.load(text, str(path))
        found, findings = [], []
        for number, value in enumerate(_listed(document.value, path)):
            line = document.line(f"{_KEY}.{number}")
            problem = _problem(value)
            if problem:
                findings.append(Finding(_STEP, problem, str(path), line, 1))
            else:
                found.append((line, Entry(**value)))
        if findings:
            raise FindingsError(f"{path} is not a list of equivalent mutants", findings)
        return cls(path, found)

    def reason(self, mutation: Mutation) -> str:
        """Why a mutation changes nothing; "" where nobody says that it does not."""
        return self._reasons.get(_key(mutation), "")

    def findings(self, mutants: Sequence[Mutant], *, whole: bool) -> tuple[Finding, ...]:
        """Entries that a test proves wrong, and those of no mutant where these are `whole`."""
        outcomes = {_key(mutant.mutation): mutant for mutant in mutants}
        found = []
        for line, entry in self._entries:
            mutant = outcomes.get((entry.file, entry.rule, entry.mutation))
            if mutant is None:
                if whole:
                    what = f"there is no mutant of {entry.rule} that is {entry.mutation}"
                    found.append((line, what, "take the entry out"))
            elif mutant.outcome != "equivalent":
                killer = mutant.killers[0] if mutant.killers else "the compiler"
                what = f"{entry.mutation} is not equivalent: {killer} notices it"
                found.append((line, what, "take the entry out"))
        return tuple(
            Finding(_STEP, what, str(self._path), line, 1, remedy) for line, what, remedy in found
        )


def _key(mutation: Mutation) -> tuple[str, str, str]:
    return mutation.file, mutation.rule, mutation.words


def _listed(value: Any, path: Path) -> list[Any]:
    entries = value.get(_KEY) if isinstance(value, dict) and value.keys() == {_KEY} else None
    if not isinstance(entries, list):
        what = f"it must be an object with one list, {_KEY}"
        raise FindingsError(f"{path} cannot be read", [Finding(_STEP, what, str(path), 1, 1)])
    return entries


def _problem(value: Any) -> str:
    if not isinstance(value, dict) or not set(_FIELDS).issuperset(value):
        return f"an entry has {', '.join(_FIELDS)} and nothing else"
    for name in _FIELDS:
        text = value.get(name)
        if not isinstance(text, str) or not text.strip():
            return f"{name} is missing; an entry has {', '.join(_FIELDS)}"
    if len(value["reason"].strip()) < _SENTENCE:
        return "the reason is no sentence; say why no test can tell the mutant from the policy"
    return ""
