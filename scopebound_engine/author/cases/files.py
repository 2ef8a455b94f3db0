"""Case files: what a policy is expected to say of calls, as text beside its rules.

    roles:
      clerk: {allowed_tools: [read_invoices]}
    cases:
      - name: a tool of the role
        role: clerk
        call: {tool_name: read_invoices, call_args: {}}
        expect: allow
      - name: a tool that the role does not list
        role: clerk
        call: {tool_name: delete_invoice, call_args: {}}
        expect: {deny: SCOPE_VIOLATION, retry_guidance: none}

A role is what POST /mgmt/v1/roles takes, or the name of one under `roles`, whose name is its key
and which may name another one as its `parent_role_id`. In place of `role` and `call` a case may
give `input`, all facts. A file that names no roles may be just the list of cases. Case files are
their author's: they do not travel in bundles (`bundle.format.build`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from scopebound_engine import plain_yaml
from scopebound_engine.author.cases.fields import CaseFields, Expected, role_of
from scopebound_engine.errors import Finding, FindingsError, InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields

_STEP: Final = "cases"
_MOST_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """A case of a file, with the roles that the file names."""

    file: str
    line: int
    fields: CaseFields
    roles: Mapping[str, RoleFields]

    @property
    def expected(self) -> Expected:
        """What the policy is to say."""
        found = self.fields.expect
        return found if isinstance(found, Expected) else Expected()


def read(files: Mapping[str, Path]) -> list[Case]:
    """The cases of files, in order, by what findings call the files.

    Raises FindingsError with all that is wrong with them.
    """
    cases: list[Case] = []
    findings: list[Finding] = []
    for name, path in files.items():
        try:
            reader = _Reader(name, plain_yaml.load(_text(path), name))
        except FindingsError as error:
            findings += error.findings or [Finding(_STEP, error.summary, name)]
        except (OSError, UnicodeDecodeError, InputError) as error:
            findings.append(Finding(_STEP, f"cannot be read: {error}", name))
        else:
            cases += reader.cases()
            findings += reader.findings
    if findings:
        raise FindingsError("the case files are not right", findings)
    return cases


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError("", f"it has more than {_MOST_BYTES >> 20} MiB")
    return data.decode("utf-8")


class _Reader:
    """Reads a file's value and keeps what is wrong with it."""

    def __init__(self, file: str, document: plain_yaml.Document) -> None:
        self.findings: list[Finding] = []
        self._file, self._document = file, document
        self._prefix = "cases." if isinstance(document.value, dict) else ""

    def cases(self) -> list[Case]:
        value = self._document.value
        if not isinstance(value, dict | list):
            self._find("", "a case file is a list of cases, or an object with roles and cases")
            return []
        top = value if isinstance(value, dict) else {"cases": value}
        for key in top.keys() - {"roles", "cases"}:
            self._find(key, f"{key} is not known here; known are: roles, cases")
        roles = self._roles(top.get("roles", {}))
        listed = top.get("cases")
        if not isinstance(listed, list) or not listed:
            self._find("cases", "there are no cases; list them under `cases`")
            return []
        cases = [
            case for index, item in enumerate(listed) for case in self._case(index, item, roles)
        ]
        self._require_names(cases)
        return cases

    def _roles(self, given: Any) -> dict[str, RoleFields]:
        if not isinstance(given, dict):
            self._find("roles", "roles are an object: a role by each name")
            return {}
        roles = {}
        for name, item in given.items():
            path = f"roles.{name}"
            if not isinstance(item, dict) or "name" in item:
                self._find(path, f"role {name}: must be an object without `name`, which is its key")
                continue
            for role in self._parsed(path, f"role {name}", partial(role_of, item, name)):
                roles[name] = role
        for name, role in roles.items():
            if role.parent_role_id and role.parent_role_id not in roles:
                what = f"role {name}: no role {role.parent_role_id} stands under `roles`"
                self._find(f"roles.{name}.parent_role_id", what)
        return roles

    def _case(self, index: int, item: Any, roles: Mapping[str, RoleFields]) -> Iterator[Case]:
        path = f"{self._prefix}{index}"
        named = item.get("name") if isinstance(item, dict) else None
        label = f"case {named}" if isinstance(named, str) else f"case {index + 1}"
        for fields in self._parsed(path, label, partial(parse, CaseFields, item)):
            own = dict(roles)
            if isinstance(fields.role, dict):
                read_role = partial(role_of, fields.role, "case")
                for role in self._parsed(f"{path}.role", label, read_role):
                    own[""] = role
            wanted = [fields.role] if isinstance(fields.role, str) else []
            wanted += [fields.spawn.role] if fields.spawn else []
            for name in wanted:
                if name not in roles:
                    self._find(f"{path}.role", f"{label}: no role {name} stands under `roles`")
            yield Case(self._file, self._document.line(path), fields, own)

    def _parsed(self, path: str, label: str, read: Callable[[], Any]) -> Iterator[Any]:
        try:
            yield read()
        except InputError as error:
            where = f"{path}.{error.field}" if error.field else path
            self._find(where, f"{label}: {error}")

    def _require_names(self, cases: list[Case]) -> None:
        lines: dict[str, int] = {}
        for case in cases:
            if case.fields.name in lines:
                what = f"case {case.fields.name} stands on line {lines[case.fields.name]} too"
                self.findings.append(Finding(_STEP, what, self._file, case.line, 1))
            lines.setdefault(case.fields.name, case.line)

    def _find(self, path: str, message: str) -> None:
        self.findings.append(Finding(_STEP, message, self._file, self._document.line(path), 1))
