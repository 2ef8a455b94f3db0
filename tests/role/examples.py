"""Roles as the reference has them, for tests of what they are made of."""

from datetime import UTC, datetime
from typing import Any

import pytest

from scopebound_engine import strict_json
from scopebound_engine.errors import InputError
from scopebound_engine.parsing import parse
from scopebound_engine.role.fields import RoleFields
from scopebound_engine.role.model import Role

ROLE_ID = "3bcedc38-a87a-4c2a-bc50-7693cb90af2d"
PARENT_ID = "47bb16ec-e06a-4090-9a4a-e0873e680545"
NOON = datetime(2026, 4, 29, 12, 0, 0, tzinfo=UTC)
REFERENCE_REQUEST = strict_json.loads(
    rb"""{
  "name": "invoice-processor",
  "description": "Processes invoices \u2014 read only",
  "allowed_tools": ["read_invoices", "send_email"],
  "default_ttl_seconds": 3600,
  "max_delegation_depth": 1,
  "rate_limit_per_minute": 30,
  "rate_limit_per_hour": 500,
  "parent_role_id": "base-agent",
  "parameter_constraints": {
    "send_email": [{"field": "to", "operator": "regex", "value": ".*@company\\.com$"}],
    "read_invoices": [{"field": "amount", "operator": "lt", "value": 50000}]
  },
  "allowed_hours_start": 8,
  "allowed_hours_end": 20,
  "allowed_days": [0, 1, 2, 3, 4],
  "data_scope": {"allowed_envs": ["staging", "production"], "max_rows": 1000},
  "webhook_url": "https://your-server.com/webhooks/scopebound",
  "webhook_secret": "your-hmac-secret"
}"""
)


def fields(**changes: Any) -> RoleFields:
    return parse(RoleFields, {"name": "invoice-processor", **changes})


def stored(role: RoleFields, **changes: Any) -> Role:
    document = role.document() | {"parent_role_id": PARENT_ID} | changes
    return Role(id=ROLE_ID, revision=1, created_at=NOON, updated_at=NOON, **document)


def mistake(model: type[Any], value: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(model, value)
    return caught.value
