"""Role files: roles as text, YAML or (by the ending .json) JSON, to be kept beside policies.

    roles:
      - name: invoice-processor
        allowed_tools: [read_invoices, send_email]

Each role is what POST /mgmt/v1/roles takes. What it does not say has its default; only
`webhook_secret`, which no server ever answers, is left as it is where the file does not say it.
"""

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scopebound_engine import plain_yaml, strict_json
from scopebound_engine.errors import Finding, FindingsError, InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields

# The one field that no server answers.
HIDDEN: Final = "webhook_secret"
_STEP: Final = "roles"
_HEADER: Final = """\
# Roles, as `scopebound-engine role apply -f FILE` takes them.
# What a role does not say has its default.
"""
_HIDDEN_NOTE: Final = """\
# This one has a webhook_secret, which is never shown; apply leaves it as it is.
"""


class RoleFileError(FindingsError):
    """A role file is wrong, or a server refuses a role of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role stands in a file. `line` finds the line of a path, 0 where it is not known."""

    file: str
    index: int
    line: Callable[[str], int] = field(repr=False)

    def finding(self, role: str, path: str, mistake: str) -> Finding:
        """A mistake in the role, at a field's dotted path or with "" in the whole."""
        line = self.line(f"roles.{self.index}" + (f".{path}" if path else ""))
        message = f"role {role}: {path}: {mistake}" if path else f"role {role}: {mistake}"
        return Finding(_STEP, message, self.file, line, 1 if line else 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One role of a file: its fields as `canonical` has them.

    `secret` is its webhook secret, None where the file does not say it.
    """

    place: Place
    fields: Mapping[str, Any]
    secret: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The role's name."""
        return str(self.fields["name"])

    def finding(self, path: str, mistake: str) -> Finding:
        """A mistake in this role."""
        return self.place.finding(self.name, path, mistake)


def read(path: Path) -> tuple[Entry, ...]:
    """The roles of a file, each checked. Raises RoleFileError or YamlError with all mistakes."""
    value, line = _value(path)
    findings: list[Finding] = []
    entries: dict[str, Entry] = {}
    for index, given in enumerate(_roles(value, path)):
        entry = _entry(given, Place(str(path), index, line), findings)
        if entry and entries.setdefault(entry.name, entry) is not entry:
            findings.append(entry.finding("name", "stands twice in the file"))
    if findings:
        raise RoleFileError(f"{path} is refused; nothing was changed", findings)
    return tuple(entries.values())


def write(roles: Sequence[Mapping[str, Any]], with_secret: Container[str]) -> str:
    """The YAML that `read` takes back to these roles, of fields as `canonical` has them.

    `with_secret` names the roles of which the server keeps a webhook secret.
    """
    if not roles:
        return _HEADER + "roles: []\n"
    parts = [
        (_HIDDEN_NOTE if role["name"] in with_secret else "") + plain_yaml.dump([said(role)])
        for role in roles
    ]
    return _HEADER + "roles:\n" + "\n".join(parts)


def write_json(roles: Sequence[Mapping[str, Any]]) -> str:
    """The same as JSON, which has no comments."""
    return (
        json.dumps({"roles": [said(role) for role in roles]}, indent=2, ensure_ascii=False) + "\n"
    )


def canonical(fields: RoleFields) -> dict[str, Any]:
    """A role's fields in the one spelling in which the API answers them, without the secret."""
    document = fields.document()
    del document[HIDDEN]
    document["parameter_constraints"] = {
        tool: [rule.model_dump(mode="json", exclude_defaults=True) for rule in rules]
        for tool, rules in fields.parameter_constraints.items()
    }
    return {"name": document.pop("name"), **document}


DEFAULTS: Final[Mapping[str, Any]] = canonical(RoleFields(name="default"))


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The name and what is not a default."""
    return {
        name: value for name, value in fields.items() if name == "name" or value != DEFAULTS[name]
    }


def _value(path: Path) -> tuple[Any, Callable[[str], int]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RoleFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if path.suffix == ".json":
            return strict_json.loads(data), lambda _: 0
        document = plain_yaml.load(data.decode("utf-8"), str(path))
    except (InputError, UnicodeDecodeError) as error:
        raise RoleFileError(f"{path} cannot be read: {error}") from error
    return document.value, document.line


def _roles(value: Any, path: Path) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get("roles"), list):
        raise RoleFileError(f"{path} is refused: `roles:` is missing, with a list of roles below")
    others = ", ".join(key for key in value if key != "roles")
    if others:
        raise RoleFileError(f"{path} is refused: beside `roles` it has {others}; leave that out")
    return list(value["roles"])


def _entry(given: Any, place: Place, findings: list[Finding]) -> Entry | None:
    """The role at a place, or None and a finding."""
    try:
        fields = parse(RoleFields, given)
    except InputError as error:
        name = given.get("name") if isinstance(given, dict) else None
        role = name if isinstance(name, str) else f"number {place.index + 1}"
        findings.append(place.finding(role, error.field, error.detail))
        return None
    return Entry(place, canonical(fields), fields.webhook_secret if HIDDEN in given else None)
