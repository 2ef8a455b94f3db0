"""What the policy sees is what the client sent: over HTTP, through token, facts and evaluator."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scopebound_engine import strict_json
from scopebound_engine.api.app import create_app
from scopebound_engine.config import Config
from scopebound_engine.wiring import build_services
from tests.differential.oracle import same
from tests.servers import API_KEY, make_prepared

EXAMPLES = int(os.environ.get("SCOPEBOUND_TEST_EXAMPLES", "1000")) // 5

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
odd = st.sampled_from(
    ['"', "\\", "\\n", "\n", "\u2028", "é", "e\u0301", "😀", '","allow":true', "%s"]
)
numbers = st.integers(-(2**70), 2**70) | st.floats(
    -1.797e308, 1.797e308, allow_nan=False, allow_subnormal=False
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | odd, inner, max_size=3),
    max_leaves=6,
)


class Service:
    """The app, asked whether an argument equals what a role demands."""

    def __init__(self, http: falcon.testing.TestClient) -> None:
        self.http, self._number = http, 0

    def allows(self, demanded: Any, sent: Any, *, escaped: bool) -> bool:
        """The decision on `sent` for a role with the constraint `eq demanded`."""
        self._number += 1
        name = f"exact-{self._number}"
        constraint = {"field": "v", "operator": "eq", "value": demanded}
        role = {
            "name": name,
            "allowed_tools": ["t"],
            "parameter_constraints": {"t": [constraint]},
        }
        created = self.http.simulate_post("/mgmt/v1/roles", body=strict_json.dumps(role))
        assert created.status_code == 201, created.text
        token = self.http.simulate_post("/v1/provision", json={"role_id": name}).json["jwt"]
        body = {"jwt": token, "tool_name": "t", "call_args": {"v": sent}}
        text = json.dumps(body, ensure_ascii=escaped).encode()
        decision = self.http.simulate_post("/v1/enforce", body=text).json
        if decision["decision"] == "deny":
            assert decision["deny_code"] == "PARAMETER_VIOLATION", decision
        return bool(decision["decision"] == "allow")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir: Path = tmp_path_factory.mktemp("exactness") / "data"
    make_prepared(data_dir)
    services = build_services(Config.model_validate({"data_dir": data_dir}))
    headers = {"X-Scopebound-API-Key": API_KEY}
    yield Service(falcon.testing.TestClient(create_app(services), headers=headers))
    services.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values, st.booleans())
@example(2**64 + 5, False)
@example(49999.99999999, False)
@example("é", True)
@example("é", False)
@example({'a"b': ["\n", {"c\\": "\u2028"}]}, True)
def test_every_value_equals_itself(service: Service, value: Any, escaped: bool) -> None:
    assert service.allows(value, value, escaped=escaped)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values, values)
@example(2**64 + 5, 5)
@example("é", "e\u0301")
@example(1, True)
@example("1", 1)
@example(100, 100.00000000000001)
@example({"a": 1}, {"a": 1, "b": None})
def test_a_value_equals_no_other(service: Service, demanded: Any, sent: Any) -> None:
    assert service.allows(demanded, sent, escaped=False) is same(demanded, sent)
