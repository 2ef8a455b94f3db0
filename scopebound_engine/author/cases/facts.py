"""The facts of a case, by the code that makes those of a call.

The role's claims are those of a token, the session is entered with full buckets, and the facts are
built of both. What the case says of its session then takes the place of what was found.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.author import facts_file
from scopebound_engine.author.cases.fields import moment_of
from scopebound_engine.author.cases.files import Case
from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.config import Config
from scopebound_engine.decision import facts
from scopebound_engine.decision.entries import entry_of
from scopebound_engine.decision.facts import Call
from scopebound_engine.errors import Finding, FindingsError, InputError
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.inheritance import EffectiveRole, effective
from scopebound_engine.role.model import Role
from scopebound_engine.session import claims
from scopebound_engine.session.state import seam
from scopebound_engine.session.state.buckets import HOUR_US, MINUTE_US

_ROLE: Final = "00000000-0000-4000-8000-000000000001"
_SESSION: Final = "00000000-0000-4000-8000-000000000002"
_CALL: Final = "case"
_LONGEST_CHAIN: Final = 3
# A call a minute into its session, unless the case says when that began.
_AGE_SECONDS: Final = 60
_STANDING: Final = seam.Standing(1, True, None, True, False, None, None, False)


def facts_of(case: Case, matchers: Matchers) -> dict[str, Any]:
    """The Rego input of a case. Raises FindingsError where it does not fit the schema."""
    try:
        document = (
            dict(case.fields.input) if case.fields.input is not None else _built(case, matchers)
        )
        document.setdefault("matches", matchers.judge(document))
        return facts_file.read(strict_json.dumps(document), case.fields.name)
    except InputError as error:
        raise _wrong(case, str(error)) from error
    except FindingsError as error:
        raise _wrong(case, *(str(finding) for finding in error.findings)) from error


def _wrong(case: Case, *mistakes: str) -> FindingsError:
    found = [
        Finding("cases", f"case {case.fields.name}: {mistake}", case.file, case.line, 1)
        for mistake in mistakes
    ]
    return FindingsError("a case is not one of a call", found)


def _built(case: Case, matchers: Matchers) -> dict[str, Any]:
    fields = case.fields
    now = moment_of(fields.at)
    began = now - _AGE_SECONDS if fields.provisioned is None else moment_of(fields.provisioned)
    granted = _granted(case, fields.role if isinstance(fields.role, str) else "")
    seconds = claims.ttl(granted.role, 0)
    issued = {
        "iss": Config.model_fields["issuer"].default,
        "aud": Config.model_fields["audience"].default,
        **claims.claims_of(granted, _SESSION, began, seconds),
    }
    call = _call(case)
    document = facts.build(
        call, issued, now * 1_000, _entered(call, issued), _child(case), matchers
    )
    document["session"] = _over(document["session"], fields.session)
    return document


def _granted(case: Case, name: str) -> EffectiveRole:
    """What a role grants with its parents; "" is that of the case itself."""
    chain: list[Role] = []
    while name in case.roles and len(chain) < _LONGEST_CHAIN:
        fields = case.roles[name]
        chain.append(_stored(fields))
        name = fields.parent_role_id or "\0"
    return effective(chain)


def _stored(fields: RoleFields) -> Role:
    epoch = datetime.fromtimestamp(0, UTC)
    document = fields.document() | {"id": _ROLE, "revision": 1}
    return Role.model_validate(document | {"created_at": epoch, "updated_at": epoch})


def _call(case: Case) -> Call:
    call = case.fields.call
    if call is None:
        return Call("delegate", None, {}, _CALL)
    action: Any = "tool_call" if call.mcp_server is None else "mcp_tool_call"
    return Call(action, call.tool_name, dict(call.call_args), _CALL, call.mcp_server)


def _child(case: Case) -> dict[str, Any] | None:
    spawn = case.fields.spawn
    if spawn is None:
        return None
    granted = _granted(case, spawn.role)
    return {
        "role": granted.role.name,
        "allowed_tools": list(granted.allowed_tools),
        "ttl_seconds": claims.ttl(granted.role, spawn.ttl_seconds),
    }


def _entered(call: Call, issued: Mapping[str, Any]) -> seam.SessionFacts:
    """What the first call of a session finds."""
    entry = entry_of(call, issued)
    full = seam.Units(
        entry.per_minute * MINUTE_US, entry.per_hour * HOUR_US, entry.per_server * MINUTE_US
    )
    return seam.facts(entry, _STANDING, full)


def _over(document: Any, override: Any) -> Any:
    """The document with what the override says in its place, objects key by key."""
    if not isinstance(document, dict) or not isinstance(override, dict):
        return override
    return document | {key: _over(document.get(key), value) for key, value in override.items()}
