"""Bundles on a server, for the commands that manage them there."""

import hashlib
from typing import Any, Final

import click

from scopebound_engine.cli.connect import connecting
from scopebound_engine.cli.ending import LAGGING
from scopebound_engine.cli.remote import RemoteError, Server
from scopebound_engine.cli.terminal import fields, json_document, printable

BUNDLES: Final = "/mgmt/v1/bundles"
# A change waits for its turn, for the gate and for the workers, each up to a minute or two.
CHANGE_SECONDS: Final = 420.0
# Names of versions that can be given where an id can.
ACTIVE: Final = "active"
PREVIOUS: Final = "previous"

server_options: Final = connecting("bundles, or rollback")


def versions(server: Server) -> list[dict[str, Any]]:
    """The versions that the server keeps, newest upload first."""
    found: list[dict[str, Any]] = server.done("GET", BUNDLES)["versions"]
    return found


def is_version(name: str) -> bool:
    """Whether this names a version on a server."""
    # Here, as it takes the model of roles and RE2.
    from scopebound_engine.role.values import is_uuid

    return name in {ACTIVE, PREVIOUS} or is_uuid(name)


def bundle_id(server: Server, name: str) -> str:
    """The id of a version. Raises RemoteError where there is none of that name.

    `previous` is the last before the active one that was in force: of those uploaded earlier, so
    that going back twice leads further back, and never forward to what was rolled back.
    """
    if name not in {ACTIVE, PREVIOUS}:
        return name
    kept = versions(server)
    now = next((place for place, each in enumerate(kept) if each["is_active"]), None)
    if now is None:
        raise RemoteError(f"no bundle is in force at {server.url}; push one")
    if name == ACTIVE:
        return str(kept[now]["id"])
    for each in kept[now + 1 :]:
        if each["activated_at"]:
            return str(each["id"])
    raise RemoteError(
        f"no version that was in force before {kept[now]['version']} is kept at {server.url}; "
        "name one that `bundle list` shows"
    )


def download(server: Server, version_id: str) -> bytes:
    """The exact bytes of a version. Raises RemoteError where they come otherwise than they are."""
    answer = server.fetch(f"{BUNDLES}/{version_id}/download")
    checksum = answer.headers.get("etag", "").strip('"')
    if hashlib.sha256(answer.body).hexdigest() != checksum:
        raise RemoteError(
            f"the {len(answer.body)} bytes from {server.url} are not those of the checksum "
            f"{checksum}; try again"
        )
    return answer.body


def tell_change(answer: dict[str, Any], done: str, *, as_json: bool) -> None:
    """Write what became of a version, where it was to be put in force; exits if workers lag."""
    state = f"{done} as generation {answer['generation']}"
    if answer["unchanged"]:
        state = f"unchanged: it is in force already, as generation {answer['generation']}"
    workers = answer["workers"]
    if as_json:
        json_document(answer)
    else:
        fields(
            ("version", answer["version"]),
            ("id", answer.get("version_id") or answer["id"]),
            ("checksum", answer["checksum"]),
            ("state", state),
            ("workers", f"{workers['running']} of {workers['expected']} run it"),
        )
    if not answer["converged"]:
        _tell_laggards(workers["laggards"])
        click.get_current_context().exit(LAGGING)


def _tell_laggards(laggards: list[dict[str, Any]]) -> None:
    who = (
        "these workers do not run it yet" if laggards else "no worker has reported that it runs it"
    )
    click.echo(f"warning: {who}; what they cannot load in time they deny", err=True)
    for each in laggards:
        line = (
            f"  pid {each['pid']} of node {each['node_id']} runs generation {each['generation']}, "
            f"last heard of {each['silent_seconds']} s ago"
        )
        click.echo(printable(f"{line}: {each['error']}" if each["error"] else line), err=True)
