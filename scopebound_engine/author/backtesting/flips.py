"""Decisions that come out differently: counted, grouped, a few kept as examples; and the report."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

from scopebound_engine import strict_json

Kind = Literal["deny_to_allow", "allow_to_deny", "deny_code"]

# In the order of what they are worth to know.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ALLOW: Final = "allow"
# Models make up names of tools without end: so many groups are told apart, then tools are not.
_MOST_GROUPS: Final = 2_000
_ANY_TOOL: Final = "…"
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Said:
    """A violation. `rules` are the places, `file:line`, of the rules that deny with its code."""

    code: str
    reason: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A decision that flipped, by its record's id. Where it was allowed there are no violations."""

    kind: Kind
    id: str
    at: str
    tool: str
    role: str
    was: tuple[Said, ...]
    now: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Flips that are alike; `was` and `now` are the first deny code, or "allow"."""

    kind: Kind
    was: str
    now: str
    tool: str
    role: str
    count: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """One that made so many of the decisions."""

    version: str
    checksum: str
    decisions: int


@dataclass(frozen=True)
class Report:
    """What a candidate would have changed. `policy` is a SHA-256 of what decides.

    Of `records` so many were `decided` again, and the others could not be for the causes of
    `log.replayable`. `kinds` counts flips; `altered` are denials with the same first code and other
    violations or reasons; `without_verdict` are calls on which the candidate fails, which denies
    them. Groups come by kind, the largest first.
    """

    name: str
    version: str
    policy: str
    records: int
    decided: int
    undecidable: Mapping[str, int]
    bundles: tuple[Bundle, ...]
    kinds: Mapping[Kind, int]
    altered: int
    without_verdict: int
    groups: tuple[Group, ...]
    examples: tuple[Example, ...]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def flips(self) -> int:
        """How many decisions flipped in any way."""
        return sum(self.kinds.values())

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of what is acknowledged by it: which policy flips what.

        That is `policy` and the groups, without their counts: decisions that came in meanwhile
        change it only where they flip in a way that nobody has seen.
        """
        groups = sorted([one.kind, one.was, one.now, one.tool, one.role] for one in self.groups)
        seen = {"policy": self.policy, "groups": groups}
        return hashlib.sha256(strict_json.dumps(seen)).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {"digest": self.digest, "flips": self.flips, **asdict(self)}


@dataclass
class Flips:
    """Counts decisions and flips, of which the first few of each kind are kept."""

    most_examples: int
    decided: int = 0
    altered: int = 0
    without_verdict: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    _groups: Counter[tuple[Kind, str, str, str, str]] = field(default_factory=Counter)
    _examples: dict[Kind, list[Example]] = field(default_factory=dict)

    def count(self, is_failure: bool) -> None:
        """A decision was made again; a failure gave no verdict."""
        self.decided += 1
        self.without_verdict += is_failure

    def add(self, example: Example, was: str, now: str) -> None:
        """It came out differently."""
        self.kinds[example.kind] += 1
        key = (example.kind, was, now, example.tool[:_LONGEST], example.role)
        if key not in self._groups and len(self._groups) >= _MOST_GROUPS:
            key = (example.kind, was, now, _ANY_TOOL, example.role)
        self._groups[key] += 1
        kept = self._examples.setdefault(example.kind, [])
        if len(kept) < self.most_examples:
            kept.append(example)

    def groups(self) -> tuple[Group, ...]:
        """By kind, the largest first."""
        found = [Group(*key, count=count) for key, count in self._groups.items()]
        order = {kind: place for place, kind in enumerate(KINDS)}
        return tuple(
            sorted(
                found,
                key=lambda one: (order[one.kind], -one.count, one.was, one.now, one.tool, one.role),
            )
        )

    def examples(self) -> tuple[Example, ...]:
        """Those that were kept, by kind."""
        return tuple(one for kind in KINDS for one in self._examples.get(kind, ()))
