"""What changed from one bundle to another: by rule, deny code, value; never by line of a file.

Comments (METADATA among them: it documents), layout, the order of definitions and the files they
stand in make no difference, since they make none to a decision. `*_test.rego` is told apart: what
stands there is never evaluated for a call. Nothing here loads the Rego engine.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import content
from scopebound_engine.bundle.format.manifest import OPA_FILE, Manifest
from scopebound_engine.rego.source.normal import Definition, definitions, layout, package
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source

Kind = Literal["added", "removed", "changed"]

_CONTEXT_LINES: Final = 3
# difflib compares long lists of few different elements for minutes.
_MOST_PAIRS: Final = 4_000_000
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a definition begins; `line` counts from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule, with all its definitions in the package.

    `places` are those of the definitions that came, or of those that went where none came. `lines`
    are a unified diff of the definitions that came and went, each in the one layout of
    `rego.source.normal`; each line begins with "+", "-", " ", or is "@@" where some are left out.
    """

    change: Kind
    package: str
    name: str
    places: tuple[Place, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A JSON value. `path` is a JSON Pointer (RFC 6901); what is not there is null."""

    change: Kind
    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Diff:
    """All that changed. The paths of `deny_codes` and `matchers` begin with their names."""

    rules: tuple[RuleChange, ...]
    tests: tuple[RuleChange, ...]
    deny_codes: tuple[ValueChange, ...]
    matchers: tuple[ValueChange, ...]
    manifest: tuple[ValueChange, ...]
    data: tuple[ValueChange, ...]

    @property
    def same(self) -> bool:
        """Whether both bundles mean the same."""
        return not any(getattr(self, field.name) for field in fields(self))

    def as_dict(self) -> dict[str, Any]:
        """The diff as JSON: `same`, and a list of changes for each field, with their own fields."""
        return {"same": self.same, **asdict(self)}


def compare(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Diff:
    """What changed between the files of two bundles, by name, as `archive.read` gives them.

    Raises ManifestError, or BundleError where they could not be loaded.
    """
    for files in (old, new):
        content.check(files)
    before, after = _Manifest.of(old), _Manifest.of(new)
    return Diff(
        rules=tuple(_rules(_defined(old, tests=False), _defined(new, tests=False))),
        tests=tuple(_rules(_defined(old, tests=True), _defined(new, tests=True))),
        deny_codes=tuple(_values(before.deny_codes, after.deny_codes)),
        matchers=tuple(_values(before.matchers, after.matchers)),
        manifest=tuple(_values(before.rest, after.rest)),
        data=tuple(_values(content.data(old), content.data(new))),
    )


@dataclass(frozen=True, slots=True)
class _Manifest:
    """A manifest, with what has a name of its own taken out."""

    deny_codes: dict[str, Any]
    matchers: dict[str, Any]
    rest: dict[str, Any]

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "_Manifest":
        read = Manifest.of(files)
        codes = {
            code.code: {"severity": code.severity, "description": code.description}
            for code in read.deny_codes
        }
        # What only OPA's manifest says counts as well.
        rest = {**(strict_json.loads(files[OPA_FILE]) if OPA_FILE in files else {}), **read.raw}
        if "metadata" in rest:
            # There `scopebound` holds fields of this manifest, which `raw` has already.
            rest["metadata"] = {k: v for k, v in rest["metadata"].items() if k != "scopebound"}
        del rest["deny_codes"]
        return cls(codes, rest.pop("matchers", {}), rest)


_Rule = tuple[str, str]
_Placed = tuple[Place, Definition]


def _defined(files: Mapping[str, bytes], *, tests: bool) -> dict[_Rule, list[_Placed]]:
    """The definitions of each rule, by package and name."""
    rules = content.modules(files, tests=False)
    found: dict[_Rule, list[_Placed]] = {}
    for file, text in content.modules(files, tests=True).items():
        if (file in rules) == tests:
            continue
        module = Module(Source(file, text))
        path = package(module)
        for definition in definitions(module):
            placed = (Place(file, definition.line), definition)
            found.setdefault((path, definition.name), []).append(placed)
    return found


def _rules(
    old: Mapping[_Rule, list[_Placed]], new: Mapping[_Rule, list[_Placed]]
) -> Iterator[RuleChange]:
    for rule in sorted(old.keys() | new.keys()):
        before, after = old.get(rule, []), new.get(rule, [])
        gone, come = _only(before, after), _only(after, before)
        if gone or come:
            places = tuple(place for place, _ in come or gone)
            yield RuleChange(_kind(before, after), *rule, places, _unified(gone, come))


def _only(these: Sequence[_Placed], others: Sequence[_Placed]) -> list[_Placed]:
    """The definitions that are not among the others, or not as often."""
    left = Counter(definition.tokens for _, definition in others)
    found = []
    for placed in these:
        _, definition = placed
        if left[definition.tokens]:
            left[definition.tokens] -= 1
        else:
            found.append(placed)
    return found


def _unified(old: Sequence[_Placed], new: Sequence[_Placed]) -> tuple[str, ...]:
    before, after = (
        [line for _, definition in side for line in layout(definition.tokens)]
        for side in (old, new)
    )
    if len(before) * len(after) > _MOST_PAIRS:
        return (*(f"-{line}" for line in before), *(f"+{line}" for line in after))
    lines = difflib.unified_diff(before, after, lineterm="", n=_CONTEXT_LINES)
    # The two names of files, and the line numbers of a layout that nobody has seen, say nothing.
    shown = ["@@" if line.startswith("@@") else line for line in list(lines)[2:]]
    return tuple(shown[1:] if shown[:1] == ["@@"] else shown)


def _values(old: Any, new: Any, path: str = "") -> Iterator[ValueChange]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            at = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            yield from _values(old.get(key, _ABSENT), new.get(key, _ABSENT), at)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _items(old, new, path)
    elif _text(old) != _text(new):
        was, become = ([] if side is _ABSENT else [side] for side in (old, new))
        yield ValueChange(_kind(was, become), path, *(was or [None]), *(become or [None]))


def _items(old: list[Any], new: list[Any], path: str) -> Iterator[ValueChange]:
    """What came and went in a list, by place: what went by its old one, all else by its new one."""
    for start, stop, at, end in _differing([*map(_text, old)], [*map(_text, new)]):
        both = min(stop - start, end - at)
        for shift in range(both):
            yield from _values(old[start + shift], new[at + shift], f"{path}/{at + shift}")
        for index in range(start + both, stop):
            yield ValueChange("removed", f"{path}/{index}", old[index], None)
        for index in range(at + both, end):
            yield ValueChange("added", f"{path}/{index}", None, new[index])


def _differing(old: list[bytes], new: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """The stretches of two lists that are not the same: from and to in the old, in the new."""
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    ends = range(1, shorter - head + 1)
    tail = next((back - 1 for back in ends if old[-back] != new[-back]), len(ends))
    stop, end = len(old) - tail, len(new) - tail
    if (stop - head) * (end - head) > _MOST_PAIRS:
        yield head, stop, head, end
        return
    matcher = difflib.SequenceMatcher(a=old[head:stop], b=new[head:end])
    for tag, *places in matcher.get_opcodes():
        if tag != "equal":
            start, upto, at, until = (head + place for place in places)
            yield start, upto, at, until


def _kind(old: Sequence[Any], new: Sequence[Any]) -> Kind:
    if old and new:
        return "changed"
    return "removed" if old else "added"


def _text(value: Any) -> bytes:
    """A value as JSON: Python would take 1 and true for equal."""
    return b"" if value is _ABSENT else strict_json.dumps(value)
