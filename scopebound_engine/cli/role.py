"""`role`: roles of a running server, kept as a file beside the policies."""

import json
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from scopebound_engine import plain_yaml
from scopebound_engine.cli import role_file
from scopebound_engine.cli.remote import RefusedError, RemoteError, Server, find_server
from scopebound_engine.cli.role_file import RoleFileError
from scopebound_engine.cli.role_plan import Present, Step, plan, present_roles
from scopebound_engine.config import from_env
from scopebound_engine.errors import ConfigError
from scopebound_engine.role.values import is_uuid

_ROLES: Final = "/mgmt/v1/roles"

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.group()
def role() -> None:
    """Roles: apply a file of them, list, show and export.

    Finds the server at SCOPEBOUND_BASE_URL, or SCOPEBOUND_HOST and SCOPEBOUND_PORT, and the key in
    SCOPEBOUND_API_KEY, or the data folder; the key needs the scope roles.
    """


@role.command()
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The role file: YAML, or JSON if it ends in .json.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Change without asking; needed without a terminal.")
def apply(file: Path, dry_run: bool, yes: bool) -> None:
    """Make the server's roles those of a file.

    Shows what changes, field by field, and asks. A field that the file does not say gets its
    default, but webhook_secret is left as it is. Roles that are not in the file are left alone;
    none is ever deleted. The server shows the first 8 characters of a secret, so a new one that
    begins like the old one is taken for the same.

    \b
    Example: scopebound-engine role apply -f roles.yaml --dry-run
    """
    entries = role_file.read(file)
    server = find_server(from_env())
    present = _present(server)
    steps = plan(entries, present)
    _print(steps, others=len(present.keys() - {entry.name for entry in entries}))
    changes = [step for step in steps if step.mark != "="]
    if not changes or dry_run:
        return
    _ask(yes, len(changes), server)
    for done, step in enumerate(changes):
        _change(server, step, done, len(changes))


@role.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the roles."""
    answered = _answered(find_server(from_env()))
    if as_json:
        click.echo(json.dumps(answered, indent=2, ensure_ascii=False))
        return
    names = {each["id"]: each["name"] for each in answered}
    rows = [("NAME", "STATE", "TOOLS", "TTL", "PARENT", "UPDATED", "ID")] + [
        (
            each["name"],
            "suspended" if each.get("suspended") else "active",
            str(len(each["allowed_tools"])),
            f"{each['default_ttl_seconds']} s",
            names.get(each["parent_role_id"], "-"),
            each["updated_at"],
            each["id"],
        )
        for each in answered
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


@role.command()
@click.argument("name")
@_json
def show(name: str, as_json: bool) -> None:
    """Show all fields of the role with this name or UUID."""
    path = f"{_ROLES}/{name}" if is_uuid(name) else f"{_ROLES}?name={quote(name, safe='')}"
    answered = find_server(from_env()).done("GET", path)
    if as_json:
        click.echo(json.dumps(answered, indent=2, ensure_ascii=False))
    else:
        click.echo(plain_yaml.dump(answered), nl=False)


@role.command()
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write, as JSON if it ends in .json. Without: YAML on standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def export(file: Path | None, force: bool) -> None:
    """Write all roles as a file that apply takes back.

    Parents are named by their names. Webhook secrets are left out: the server never shows them,
    and apply leaves them alone.

    \b
    Example: scopebound-engine role export -f roles.yaml
    """
    present = _present(find_server(from_env()))
    fields = [each.fields for each in present.values()]
    if file is not None and file.suffix == ".json":
        text = role_file.write_json(fields)
    else:
        text = role_file.write(fields, {name for name, each in present.items() if each.hint})
    if file is None:
        click.echo(text, nl=False)
        return
    _write(file, text, force)
    click.echo(f"{len(fields)} roles in {file}")


def _answered(server: Server) -> list[dict[str, Any]]:
    answered: list[dict[str, Any]] = server.done("GET", _ROLES)["roles"]
    if any("allowed_tools" not in each for each in answered):
        raise RemoteError(
            "this API key reads only the names of roles; use one with the scope roles, made with "
            "`scopebound-engine keys create NAME --scope roles`"
        )
    return answered


def _present(server: Server) -> dict[str, Present]:
    return present_roles(_answered(server))


def _print(steps: tuple[Step, ...], others: int) -> None:
    for step in steps:
        click.echo(f"{step.mark} {step.entry.name}")
        for line in step.lines:
            click.echo(f"    {line}")
    marks = [step.mark for step in steps]
    click.echo(
        f"{marks.count('+')} to create, {marks.count('~')} to change, {marks.count('=')} unchanged"
        + (f"; {others} on the server are not in the file and are left alone" if others else "")
    )


def _ask(yes: bool, count: int, server: Server) -> None:
    if yes:
        return
    roles = "1 role" if count == 1 else f"{count} roles"
    if not sys.stdin.isatty():
        raise ConfigError(
            "nothing was changed: there is no terminal to ask on; repeat with --yes to change "
            f"{roles}, or with --dry-run to only look"
        )
    click.confirm(f"Change {roles} on {server.url}?", abort=True)


def _change(server: Server, step: Step, done: int, count: int) -> None:
    try:
        if step.mark == "+":
            answered = server.done("POST", _ROLES, step.body)
        else:
            answered = server.done("PUT", f"{_ROLES}/{step.role_id}", step.body)
    except RemoteError as error:
        mistake = error.detail if isinstance(error, RefusedError) else str(error)
        raise RoleFileError(
            f"a role was not changed; {done} of {count} changes were made before it",
            [step.entry.finding("", mistake)],
        ) from error
    click.echo(f"{'created' if step.mark == '+' else 'changed'} {step.entry.name}")
    for warning in answered.get("warnings", ()):
        click.echo(f"warning: {step.entry.name}: {warning}", err=True)


def _write(file: Path, text: str, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{file} is there already; replace it with --force.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error
