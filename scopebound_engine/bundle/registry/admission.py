"""Whether a bundle may become a version, by what is kept and what was ever in force.

The cheapest attack is an old bundle, signed and sound, sent again. So a way back to what was in
force leads through rollback alone, which has a scope and an audit of its own.
"""

from typing import Literal

from sqlalchemy import Connection

from scopebound_engine.bundle.format.version import Version
from scopebound_engine.bundle.registry import stored
from scopebound_engine.bundle.registry.stored import BundleVersion
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.errors import ConflictError, Finding

# A new version, the one in force, or one that is kept and was never activated.
Admission = Literal["new", "unchanged", "retry"]


def admit(
    connection: Connection, verified: VerifiedBundle
) -> tuple[Admission, BundleVersion | None]:
    """What an upload of the bundle would be, and the kept version of its identity.

    Raises ConflictError, whose finding points at the way out, for a bundle that was in force
    before, whether it is kept or was removed, and for a version lower than one that was.
    """
    same = stored.find(connection, verified.identity)
    if same is not None and same.is_active:
        return "unchanged", same
    if same is not None and same.activated_at is not None:
        message = (
            f"this bundle is kept as {same.id} (version {same.version}), which was in force before"
        )
        raise _conflict(message, f"roll back to it with {_way_back(same)}")
    if same is None and stored.was_in_force(connection, verified.identity):
        message = "this bundle was in force before and has been removed since"
        raise _conflict(message, "give it a higher version and sign it anew")
    require_not_lower(connection, verified.manifest.version)
    return ("new" if same is None else "retry"), same


def require_not_lower(connection: Connection, version: str) -> None:
    """Raises ConflictError for a version lower than the highest that was ever in force."""
    highest = stored.highest_activated(connection)
    if highest is None or Version.parse(version) >= Version.parse(highest.version):
        return
    message = (
        f"version {version} is lower than {highest.version}, the highest that was ever in force "
        f"(bundle {highest.id})"
    )
    raise _conflict(
        message, f"give it version {highest.version} or higher, or {_hint(connection, version)}"
    )


def _hint(connection: Connection, version: str) -> str:
    for kept in stored.kept(connection):
        if kept.version == version and kept.activated_at is not None:
            return f"roll back to the {version} that is kept with {_way_back(kept)}"
    return (
        "roll back to one that GET /mgmt/v1/bundles lists with POST /mgmt/v1/bundles/rollback/{id}"
    )


def _way_back(version: BundleVersion) -> str:
    return f"POST /mgmt/v1/bundles/rollback/{version.id}"


def _conflict(message: str, remedy: str) -> ConflictError:
    return ConflictError(f"{message}; {remedy}", [Finding("version", message, remedy=remedy)])
