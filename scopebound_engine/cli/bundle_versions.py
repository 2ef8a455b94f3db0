"""`bundle list|show|activate|rollback|delete|download|events`: the versions that a server keeps."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click

from scopebound_engine.cli.bundle_files import ANY, write
from scopebound_engine.cli.bundle_server import (
    BUNDLES,
    CHANGE_SECONDS,
    bundle_id,
    download,
    server_options,
    tell_change,
    versions,
)
from scopebound_engine.cli.connect import Connect
from scopebound_engine.cli.ending import as_json
from scopebound_engine.cli.terminal import columns, fields, json_document, table, waiting

_id = click.argument("name", metavar="ID")
_SHORT_REASON: Final = 60


@click.command("list")
@as_json
@server_options
def list_(connect: Connect, as_json: bool) -> None:
    """List the versions that the server keeps, newest upload first.

    \b
    Example: scopebound-engine bundle list
    """
    found = versions(connect())
    if as_json:
        json_document({"count": len(found), "versions": found})
        return
    rows = [("", "VERSION", "ID", "UPLOADED", "BY", "IN FORCE", "DESCRIPTION")] + [
        (
            "*" if each["is_active"] else "",
            each["version"],
            each["id"],
            each["uploaded_at"],
            each["uploaded_by"],
            f"since {each['activated_at']}" if each["is_active"] else _formerly(each),
            each["description"],
        )
        for each in found
    ]
    for line in columns(rows):
        click.echo(line)


@click.command()
@_id
@as_json
@server_options
def show(connect: Connect, name: str, as_json: bool) -> None:
    """Show a version: what it holds, and what happened to it.

    It is given by its ID, or as `active` or `previous`.

    \b
    Example: scopebound-engine bundle show active
    """
    server = connect()
    shown = server.done("GET", f"{BUNDLES}/{bundle_id(server, name)}")
    if as_json:
        json_document(shown)
        return
    fields(
        *((field, shown[field]) for field in ("name", "version", "id", "checksum", "identity")),
        ("signed by", shown["key_id"]),
        ("uploaded", f"{shown['uploaded_at']} by {shown['uploaded_by']}"),
        ("in force", f"generation {shown['generation']}" if shown["is_active"] else "no"),
        ("why", shown["description"] or "-"),
    )
    codes = shown["manifest"]["deny_codes"]
    table("deny codes", [(each["code"], each["severity"], each["description"]) for each in codes])
    table("files", [(f"{each['bytes']:>9,}", each["name"]) for each in shown["files"]])
    if shown["warnings"]:
        places = [(f"{each['file']}:{each['line']}", each["message"]) for each in shown["warnings"]]
        table("warnings", places)
    table("events", [_event_row(each) for each in shown["events"]])


@click.command()
@_id
@as_json
@server_options
def activate(connect: Connect, name: str, as_json: bool) -> None:
    """Put a version in force that was only stored.

    That is one which was pushed with --no-activate.

    \b
    Example: scopebound-engine bundle activate 8ddcf3ca-1281-4668-9333-f067b989337f
    """
    server = connect()
    path = f"{BUNDLES}/{bundle_id(server, name)}/activate"
    with waiting("checking and activating"):
        answer = server.change("POST", path, seconds=CHANGE_SECONDS)
    tell_change(answer, "in force", as_json=as_json)


@click.command()
@_id
@click.option("--reason", default="", help="Why, for those who read the events.")
@as_json
@server_options
def rollback(connect: Connect, name: str, reason: str, as_json: bool) -> None:
    """Put an earlier version in force again.

    It is given by its ID, or as `previous`: the last version that was in force of those uploaded
    before the active one, so that twice leads further back. It is verified and checked anew.

    \b
    Example: scopebound-engine bundle rollback previous --reason "denies invoices"
    """
    server = connect()
    query = f"?{urlencode({'reason': reason})}" if reason else ""
    path = f"{BUNDLES}/rollback/{bundle_id(server, name)}{query}"
    with waiting("checking and rolling back"):
        answer = server.change("POST", path, seconds=CHANGE_SECONDS)
    tell_change(answer, "in force again", as_json=as_json)


@click.command()
@_id
@as_json
@server_options
def delete(connect: Connect, name: str, as_json: bool) -> None:
    """Remove a version and its bytes.

    The one in force cannot be removed.

    \b
    Example: scopebound-engine bundle delete 8ddcf3ca-1281-4668-9333-f067b989337f
    """
    answer = connect().done("DELETE", f"{BUNDLES}/{name}")
    if as_json:
        json_document(answer)
    else:
        fields(("deleted", f"{answer['version']}, {answer['id']}"))


@click.command("download")
@_id
@click.option("--out", type=ANY, required=True, help="The file for it; one that is there is kept.")
@server_options
def download_(connect: Connect, name: str, out: Path) -> None:
    """Write a version's exact bytes to a file.

    It is given by its ID, or as `active` or `previous`.

    \b
    Example: scopebound-engine bundle download active --out active.tar.gz
    """
    if out.exists():
        raise click.BadParameter(f"{out} is there already", param_hint="--out")
    server = connect()
    data = download(server, bundle_id(server, name))
    write(out, data)
    fields(("bundle", out), ("bytes", len(data)))


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--before", type=int, help="Only those before the event of this number.")
@as_json
@server_options
def events(connect: Connect, limit: int, before: int | None, as_json: bool) -> None:
    """List what happened to bundles, refusals too, newest first.

    \b
    Example: scopebound-engine bundle events --limit 5
    """
    asked = {"limit": limit} | ({} if before is None else {"before": before})
    answer = connect().done("GET", f"{BUNDLES}/events?{urlencode(asked)}")
    if as_json:
        json_document(answer)
        return
    header = ("NUMBER", "AT", "WHAT", "VERSION", "GENERATION", "BY", "WHY")
    for line in columns([header, *map(_event_row, answer["events"])]):
        click.echo(line)


def _formerly(version: dict[str, Any]) -> str:
    return "formerly" if version["activated_at"] else "never"


def _event_row(event: dict[str, Any]) -> tuple[str, ...]:
    former, generation = event["from_generation"], event["generation"]
    reason = event["reason"]
    return (
        str(event["id"]),
        event["at"],
        event["kind"].removeprefix("bundle."),
        event["version"] or "-",
        f"{former or '-'} -> {generation}" if generation else "-",
        event["actor"],
        reason if len(reason) <= _SHORT_REASON else reason[: _SHORT_REASON - 1] + "…",
    )
