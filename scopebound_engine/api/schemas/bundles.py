"""Bundles: versions, what became of them, what happened to them, what changed between two."""

from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from scopebound_engine.api.schemas.problems import Finding
from scopebound_engine.api.schemas.values import EXACT, Timestamp, Uuid
from scopebound_engine.bundle.diff import Kind
from scopebound_engine.bundle.registry.events import EventKind

Checksum = Annotated[str, Field(description="SHA-256 of the tar.gz as received, in hexadecimal.")]
Identity = Annotated[
    str, Field(description="Names the signed files: the same for an archive that was packed anew.")
]
Generation = Annotated[int, Field(description="Grows by one with each activation.")]


@with_config(EXACT)
class BundleVersion(TypedDict):
    """A version that is kept. `generation` is that in which it is in force now."""

    id: Uuid
    version: str
    checksum: Checksum
    bundle_path: str
    is_active: bool
    uploaded_at: Timestamp
    activated_at: Timestamp | None
    description: str
    name: str
    identity: Identity
    key_id: str
    uploaded_by: str
    generation: Generation | None


@with_config(EXACT)
class BundleList(TypedDict):
    """The versions that are kept, newest upload first."""

    count: int
    versions: list[BundleVersion]


@with_config(EXACT)
class BundleEvent(TypedDict):
    """One thing that happened, or was refused; `from_…` is what was in force before."""

    id: int
    at: Timestamp
    kind: EventKind
    actor: str
    api_key_id: Uuid | None
    key_id: str | None
    bundle_id: Uuid | None
    from_bundle_id: Uuid | None
    from_generation: Generation | None
    generation: Generation | None
    version: str | None
    checksum: Checksum | None
    reason: str
    findings: list[Finding]


@with_config(EXACT)
class BundleEventList(TypedDict):
    """Events, newest first. The next page is that `before` the last one's id."""

    count: int
    events: list[BundleEvent]


@with_config(EXACT)
class BundleFile(TypedDict):
    """A file of a bundle."""

    name: str
    bytes: int
    sha256: str


@with_config(EXACT)
class BundleDetails(BundleVersion):
    """A version and what it holds."""

    manifest: dict[str, Any]
    files: list[BundleFile]
    warnings: list[Finding]
    events: list[BundleEvent]


@with_config(EXACT)
class Laggard(TypedDict):
    """A worker that was alive meanwhile and does not run the bundle."""

    node_id: str
    pid: int
    generation: Generation
    silent_seconds: float
    error: str


@with_config(EXACT)
class Workers(TypedDict):
    """How many workers were expected to run the bundle, how many do, and which do not."""

    expected: int
    running: int
    laggards: list[Laggard]


class _Spread(TypedDict):
    converged: Annotated[
        bool, Field(description="Whether every live worker of every node runs it.")
    ]
    workers: Workers


class _Stored(TypedDict):
    id: Uuid
    version: str
    checksum: Checksum
    is_active: bool
    uploaded_at: Timestamp
    description: str
    unchanged: Annotated[bool, Field(description="It was in force already.")]
    generation: Generation | None
    warnings: list[Finding]


@with_config(EXACT)
class ActivatedBundle(_Stored, _Spread):
    """The version that is in force."""


@with_config(EXACT)
class StoredBundle(_Stored):
    """The version that is stored and not in force, as was asked for."""


@with_config(EXACT)
class TriedBundle(TypedDict):
    """What an upload would do; nothing was stored."""

    dry_run: Literal[True]
    outcome: Literal["activate", "store", "unchanged"]
    version: str
    checksum: Checksum
    identity: Identity
    key_id: str
    warnings: list[Finding]


@with_config(EXACT)
class RolledBack(_Spread):
    """The version that is in force again."""

    message: Literal["rollback successful"]
    version_id: Uuid
    version: str
    checksum: Checksum
    generation: Generation | None
    unchanged: bool


@with_config(EXACT)
class DeletedBundle(TypedDict):
    """The version that was removed."""

    deleted: Literal[True]
    id: Uuid
    version: str


@with_config(EXACT)
class BundleName(TypedDict):
    """One of two versions that are compared."""

    id: Uuid
    version: str
    checksum: Checksum


@with_config(EXACT)
class Place(TypedDict):
    """Where a definition begins; `line` counts from 1."""

    file: str
    line: int


@with_config(EXACT)
class RuleChange(TypedDict):
    """A rule that came, went or changed; `lines` are a unified diff in one layout."""

    change: Kind
    package: str
    name: str
    places: list[Place]
    lines: list[str]


@with_config(EXACT)
class ValueChange(TypedDict):
    """A value that came, went or changed; `path` is a JSON Pointer (RFC 6901)."""

    change: Kind
    path: str
    old: Any
    new: Any


@with_config(EXACT)
class BundleDiff(TypedDict):
    """What changes from one version to another, comments and layout left out."""

    old: BundleName
    new: BundleName
    same: bool
    rules: list[RuleChange]
    tests: list[RuleChange]
    deny_codes: list[ValueChange]
    matchers: list[ValueChange]
    manifest: list[ValueChange]
    data: list[ValueChange]
