"""Changes of roles, as they are recorded: which fields, from what to what, and no secret."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from scopebound_engine.api.audit_trail import subject
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role

_HIDDEN: Final = "webhook_secret"
_ADDRESS: Final = "webhook_url"
_DEFAULTS: Final = RoleFields(name="-").document()


def about(role: Role) -> dict[str, Any]:
    """What an event of a role concerns, as keys of a record."""
    return {
        "subject": subject("role", role.id, role.name),
        "role": {"id": role.id, "name": role.name, "revision": role.revision},
    }


def fields_of(role: Role) -> dict[str, Any]:
    """The fields of a role that are not as they would be by default."""
    changed = _changed(_DEFAULTS, role.document())
    return {name: "set" if name == _HIDDEN else after for name, (_, after) in changed.items()}


def changes(before: Role, after: Role) -> dict[str, Any]:
    """The fields that differ, each with its value before (`from`) and after (`to`)."""
    return {
        name: "changed" if name == _HIDDEN else {"from": old, "to": new}
        for name, (old, new) in _changed(before.document(), after.document()).items()
    }


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    changed = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
    if _ADDRESS in changed:
        old, new = changed[_ADDRESS]
        changed[_ADDRESS] = _host_of(old), _host_of(new)
    return changed


def _host_of(url: str) -> str:
    """The beginning of an address: the rest is often a secret itself."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…" if parts.hostname else url
