"""The API reference, example by example, against the whole service.

The clock stands at the reference's own timestamps, so these are compared too. Fields that differ
from answer to answer are compared by shape; the reason of a denial may say more than the sentence
that the reference shows.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scopebound_engine.config import SHIPPED
from tests.reference import pages
from tests.reference.service import Clock, Service, assert_shows, at, header, payload, service

NOON = "2026-04-29T12:00:00Z"
ROLES = "/mgmt/v1/roles"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("reference") / "data", Clock(NOON)) as made:
        yield made


@pytest.fixture
def http(running: Service) -> Service:
    running.clock.set(NOON)
    return running


@pytest.fixture(scope="module")
def base(running: Service) -> dict[str, Any]:
    running.clock.set(NOON)
    return running.create(name="base-agent", allowed_tools=["read_vendors"])


@pytest.fixture(scope="module")
def created(running: Service, base: dict[str, Any]) -> dict[str, Any]:
    """The answer to the reference's request."""
    running.clock.set(NOON)
    status, role = running.ask("POST", ROLES, pages.ROLE_REQUEST)
    assert status == 201, role
    return dict(role)


@pytest.fixture
def role(http: Service, created: dict[str, Any]) -> dict[str, Any]:
    """The reference's role, as it is now."""
    status, role = http.ask("GET", f"{ROLES}/{created['id']}")
    assert status == 200
    return dict(role)


@pytest.fixture
def new_name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def is_uuid(value: Any) -> bool:
    return isinstance(value, str) and UUID.fullmatch(value) is not None


def is_milliseconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1000


def is_rs256_token(value: Any) -> bool:
    shown = header(pages.PROVISION_RESPONSE["jwt"])
    return bool(shown == {"alg": "RS256", "typ": "JWT"} and shown.items() <= header(value).items())


def begins_with(sentence: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value.startswith(sentence)


class TestProvision:
    def test_the_response(self, http: Service, role: dict[str, Any]) -> None:
        http.clock.set("2026-04-29T03:19:40Z")
        session = http.provision("invoice-processor")
        assert_shows(pages.PROVISION_RESPONSE, session, jwt=is_rs256_token, session_id=is_uuid)

    def test_name_and_uuid_are_the_same_role(self, http: Service, role: dict[str, Any]) -> None:
        for role_id in ("invoice-processor", role["id"]):
            assert payload(http.provision(role_id)["jwt"])["role_id"] == role["id"]

    def test_the_token_encodes_what_is_enforced(self, http: Service, role: dict[str, Any]) -> None:
        session = http.provision("invoice-processor")
        claims = payload(session["jwt"])
        assert set(claims["allowed_tools"]) == {"read_invoices", "send_email", "read_vendors"}
        assert claims["exp"] - claims["iat"] == 3600
        assert claims["jti"] == session["session_id"]
        for name in ("rate_limit_per_minute", "rate_limit_per_hour", "data_scope"):
            assert claims[name] == pages.ROLE_REQUEST[name]
        for name in pages.OFFICE_HOURS:
            assert claims[name] == pages.OFFICE_HOURS[name]
        for tool, constraints in pages.ROLE_REQUEST["parameter_constraints"].items():
            (encoded,) = claims["parameter_constraints"][tool]
            assert constraints[0].items() <= encoded.items()


@pytest.mark.parametrize("path", ["/v1/enforce", "/v1/mcp/enforce"])
class TestEnforce:
    """Both endpoints: the reference calls the second one identical to the first."""

    def test_the_request_is_allowed(self, http: Service, role: dict[str, Any], path: str) -> None:
        jwt = http.provision("invoice-processor")["jwt"]
        status, decision = http.ask("POST", path, pages.ENFORCE_REQUEST | {"jwt": jwt})
        assert status == 200
        echoed = pages.ALLOW | {"call_id": pages.ENFORCE_REQUEST["call_id"]}
        assert_shows(echoed, decision, latency_ms=is_milliseconds)

    def test_the_deny_response(self, http: Service, role: dict[str, Any], path: str) -> None:
        jwt = http.provision("invoice-processor")["jwt"]
        call_args = pages.ENFORCE_REQUEST["call_args"]
        decision = http.enforce(jwt, "delete_invoice", call_args, path, pages.DENY["call_id"])
        assert_shows(
            pages.DENY,
            decision,
            latency_ms=is_milliseconds,
            reason=begins_with(pages.DENY["reason"]),
        )

    def test_an_allow_says_nothing_of_a_denial(
        self, http: Service, role: dict[str, Any], path: str
    ) -> None:
        jwt = http.provision("invoice-processor")["jwt"]
        decision = http.enforce(jwt, "read_invoices", {}, path)
        assert decision["decision"] == "allow"
        assert not (pages.DENY.keys() - pages.ALLOW.keys()) & decision.keys()

    def test_env_is_judged_where_it_is_passed(
        self, http: Service, role: dict[str, Any], path: str
    ) -> None:
        jwt = http.provision("invoice-processor")["jwt"]
        answered = {
            str(call_args): http.enforce(jwt, "read_invoices", call_args, path)["decision"]
            for call_args in ({}, {"env": "staging"}, {"env": "production"}, {"env": "sandbox"})
        }
        assert list(answered.values()) == ["allow", "allow", "allow", "deny"]

    def test_an_answer_takes_under_5_ms(
        self, http: Service, role: dict[str, Any], path: str
    ) -> None:
        jwt = http.provision("invoice-processor")["jwt"]
        took = [http.enforce(jwt, "read_invoices", {}, path)["latency_ms"] for _ in range(20)]
        # The fastest, because a test shares its machine; `make bench` measures the rest.
        assert min(took) < 5


class TestDenyCodes:
    """The table. Two codes speak of sub-agents' sessions and of a baseline, which a call alone
    cannot bring about: of these the declaration in the shipped bundle's manifest is compared."""

    def test_the_shipped_bundle_declares_every_code_with_its_severity(self) -> None:
        declared = json.loads((SHIPPED / "manifest.json").read_text())["deny_codes"]
        severities = {code["code"]: code["severity"] for code in declared}
        assert pages.SEVERITIES.items() <= severities.items()

    @pytest.mark.parametrize(
        ("code", "tool_name", "call_args", "moment"),
        [
            ("SCOPE_VIOLATION", "delete_invoice", {}, NOON),
            ("PARAMETER_VIOLATION", "read_invoices", {"amount": 50000}, NOON),
            ("ENV_VIOLATION", "read_invoices", {"env": "sandbox"}, NOON),
            ("TIME_VIOLATION", "read_invoices", {}, at("wed", 20)),
            ("TIME_VIOLATION", "read_invoices", {}, at("sun", 12)),
            ("DATA_LIMIT_EXCEEDED", "read_invoices", {"limit": 1001}, NOON),
        ],
    )
    def test_a_call(
        self,
        http: Service,
        role: dict[str, Any],
        code: str,
        tool_name: str,
        call_args: dict[str, Any],
        moment: str,
    ) -> None:
        http.clock.set(moment)
        decision = http.enforce(http.provision("invoice-processor")["jwt"], tool_name, call_args)
        assert (decision["deny_code"], decision["severity"]) == (code, pages.SEVERITIES[code])

    def test_session_expired(self, http: Service, role: dict[str, Any]) -> None:
        jwt = http.provision("invoice-processor")["jwt"]
        http.clock.set("2026-04-29T12:59:59Z")
        assert http.enforce(jwt, "read_invoices", {})["decision"] == "allow"
        http.clock.set("2026-04-29T13:00:00Z")
        decision = http.enforce(jwt, "read_invoices", {})
        assert (decision["deny_code"], decision["severity"]) == ("SESSION_EXPIRED", "low")

    @pytest.mark.parametrize("limit", ["rate_limit_per_minute", "rate_limit_per_hour"])
    def test_rate_limit_exceeded(self, http: Service, new_name: str, limit: str) -> None:
        http.create(name=new_name, allowed_tools=["read"], **{limit: 2})
        jwt = http.provision(new_name)["jwt"]
        decisions = [http.enforce(jwt, "read", {}) for _ in range(3)]
        assert [each["decision"] for each in decisions] == ["allow", "allow", "deny"]
        assert decisions[2]["deny_code"] == "RATE_LIMIT_EXCEEDED"
        assert decisions[2]["severity"] == "medium"


class TestRoles:
    def test_the_create_response(self, base: dict[str, Any], created: dict[str, Any]) -> None:
        shown = dict(pages.ROLE_RESPONSE)
        # The page shows one of the two tools that its request constrains.
        constraints = shown.pop("parameter_constraints")
        assert_shows(shown, created, id=is_uuid, parent_role_id=base["id"].__eq__)
        assert constraints.items() <= created["parameter_constraints"].items()

    def test_what_was_requested_is_answered(self, created: dict[str, Any]) -> None:
        requested = dict(pages.ROLE_REQUEST)
        del requested["webhook_secret"], requested["parent_role_id"]
        assert_shows(requested, created)

    def test_get_by_name_by_uuid_and_in_the_list(
        self, http: Service, created: dict[str, Any]
    ) -> None:
        by_name = http.ask("GET", f"{ROLES}?name=invoice-processor")
        by_uuid = http.ask("GET", f"{ROLES}/{created['id']}")
        status, listed = http.ask("GET", ROLES)
        assert by_name == by_uuid
        assert by_name[0] == status == 200
        assert by_name[1]["id"] == created["id"]
        assert by_name[1] in listed["roles"]
        assert "base-agent" in [role["name"] for role in listed["roles"]]

    def test_put_takes_the_body_of_post(self, http: Service, created: dict[str, Any]) -> None:
        http.clock.set("2026-04-29T12:30:00Z")
        status, updated = http.ask("PUT", f"{ROLES}/{created['id']}", pages.ROLE_REQUEST)
        assert status == 200
        assert updated.pop("sessions_with_former_claims") >= 0
        assert updated == created | {"updated_at": "2026-04-29T12:30:00Z"}

    def test_put_changes_what_it_names(self, http: Service, new_name: str) -> None:
        role = http.create(name=new_name, allowed_tools=["read"])
        change = {"name": new_name, "allowed_tools": ["read", "send"], "default_ttl_seconds": 900}
        assert http.ask("PUT", f"{ROLES}/{role['id']}", change)[0] == 200
        _, after = http.ask("GET", f"{ROLES}/{role['id']}")
        assert after["allowed_tools"] == ["read", "send"]
        assert after["default_ttl"] == 900

    def test_a_name_cannot_be_changed(self, http: Service, new_name: str) -> None:
        role = http.create(name=new_name, allowed_tools=["read"])
        status, problem = http.ask("PUT", f"{ROLES}/{role['id']}", {"name": "another"})
        assert (status, problem["field"]) == (400, "name")
        assert http.ask("GET", f"{ROLES}?name={new_name}")[1]["id"] == role["id"]


class TestFieldReference:
    """The table of a role's fields, row by row."""

    def test_name_is_unique(self, http: Service, created: dict[str, Any]) -> None:
        assert http.ask("POST", ROLES, {"name": "invoice-processor"})[0] == 409

    def test_allowed_tools_is_an_explicit_whitelist(self, http: Service, new_name: str) -> None:
        http.create(name=new_name, allowed_tools=["read_invoices"])
        answered = [
            http.verdict(new_name, tool, {})
            for tool in ("read_invoices", "read_invoice", "Read_invoices", "read_invoices ", "*")
        ]
        assert answered == ["allow"] + 4 * ["SCOPE_VIOLATION"]

    def test_without_allowed_tools_nothing_may_be_called(
        self, http: Service, new_name: str
    ) -> None:
        http.create(name=new_name)
        assert http.verdict(new_name, "read_invoices", {}) == "SCOPE_VIOLATION"

    def test_default_ttl_seconds_is_the_sessions_lifetime(
        self, http: Service, new_name: str
    ) -> None:
        http.create(name=new_name, default_ttl_seconds=900)
        assert http.provision(new_name)["expires_at"] == "2026-04-29T12:15:00Z"

    def test_max_delegation_depth_is_answered(self, http: Service, new_name: str) -> None:
        assert http.create(name=new_name)["max_delegation_depth"] == 0
        assert (
            http.create(name=new_name + "+1", max_delegation_depth=1)["max_delegation_depth"] == 1
        )

    def test_a_rate_limit_of_0_is_none(self, http: Service, new_name: str) -> None:
        limits = {"rate_limit_per_minute": 0, "rate_limit_per_hour": 0}
        http.create(name=new_name, allowed_tools=["read"], **limits)
        jwt = http.provision(new_name)["jwt"]
        assert {http.enforce(jwt, "read", {})["decision"] for _ in range(60)} == {"allow"}

    def test_a_rate_limit_counts_each_session_apart(self, http: Service, new_name: str) -> None:
        http.create(name=new_name, allowed_tools=["read"], rate_limit_per_minute=1)
        assert [http.verdict(new_name, "read", {}) for _ in range(3)] == 3 * ["allow"]

    def test_parent_role_id_is_a_uuid_or_a_name(
        self, http: Service, base: dict[str, Any], new_name: str
    ) -> None:
        for parent in ("base-agent", base["id"]):
            child = http.create(name=f"{new_name} {parent}", parent_role_id=parent)
            assert child["parent_role_id"] == base["id"]

    @pytest.mark.parametrize(("env", "listed"), [("staging", True), ("production", False)])
    def test_allowed_envs(self, http: Service, new_name: str, env: str, listed: bool) -> None:
        scope = {"allowed_envs": ["staging"], "max_rows": 0}
        http.create(name=new_name, allowed_tools=["read"], data_scope=scope)
        open_ = {"allowed_envs": [], "max_rows": 0}
        http.create(name=new_name + " open", allowed_tools=["read"], data_scope=open_)
        expected = "allow" if listed else "ENV_VIOLATION"
        assert http.verdict(new_name, "read", {"env": env}) == expected
        assert http.verdict(new_name + " open", "read", {"env": env}) == "allow"

    def test_max_rows(self, http: Service, new_name: str) -> None:
        http.create(name=new_name, allowed_tools=["read"], data_scope={"max_rows": 1000})
        http.create(name=new_name + " open", allowed_tools=["read"], data_scope={"max_rows": 0})
        assert http.verdict(new_name, "read", {"limit": 1000}) == "allow"
        assert http.verdict(new_name, "read", {"limit": 1001}) == "DATA_LIMIT_EXCEEDED"
        assert http.verdict(new_name + " open", "read", {"limit": 10**9}) == "allow"

    def test_of_the_webhook_secret_only_the_hint_is_ever_answered(
        self, http: Service, created: dict[str, Any]
    ) -> None:
        secret = pages.ROLE_REQUEST["webhook_secret"]
        answers = [created, http.ask("GET", ROLES)[1], http.ask("GET", f"{ROLES}/{created['id']}")]
        answers.append(http.ask("PUT", f"{ROLES}/{created['id']}", {"webhook_secret": secret}))
        assert created["webhook_secret_hint"] == secret[:8] + "***"
        assert not any(secret in json.dumps(answer) for answer in answers)


# Operator -> arguments that satisfy the table's example, and arguments that do not.
ARGUMENTS: dict[str, tuple[list[Any], list[Any]]] = {
    "eq": (["pending"], ["paid", "Pending", "pending ", "", None, ["pending"]]),
    "lt": ([49999, 49999.99, 0, -1], [50000, 50001, 1e9, "49999", True, None]),
    "gt": ([1, 0.5], [0, -1, "1", True, None]),
    "contains": (["approved", "not yet approved, but soon"], ["Approved", "approve", "", None]),
    "regex": (["bob@company.com"], ["bob@companyXcom", "bob@company.com.evil.example", "", None]),
    "in": (["us-east", "us-west"], ["eu-west", "us-east ", "", None, ["us-east"]]),
}


@pytest.mark.parametrize("operator", pages.CONSTRAINTS)
class TestParameterConstraints:
    """The table of operators, with the example of each row."""

    def test_the_example(self, http: Service, new_name: str, operator: str) -> None:
        constraint = pages.CONSTRAINTS[operator]
        constraints = {"tool": [constraint]}
        role = http.create(name=new_name, allowed_tools=["tool"], parameter_constraints=constraints)
        assert role["parameter_constraints"] == constraints
        satisfying, violating = ARGUMENTS[operator]
        for value in satisfying:
            assert http.verdict(new_name, "tool", {constraint["field"]: value}) == "allow", value
        jwt = http.provision(new_name)["jwt"]
        for value in violating:
            decision = http.enforce(jwt, "tool", {constraint["field"]: value})
            assert decision.get("deny_code") == "PARAMETER_VIOLATION", value
            assert decision["severity"] == "high"

    def test_a_field_that_is_missing_is_skipped(
        self, http: Service, new_name: str, operator: str
    ) -> None:
        constraints = {"tool": [pages.CONSTRAINTS[operator]]}
        http.create(name=new_name, allowed_tools=["tool"], parameter_constraints=constraints)
        for call_args in ({}, {"something": "else"}):
            assert http.verdict(new_name, "tool", call_args) == "allow"


class TestConstraintsTogether:
    def test_each_tool_has_its_own(self, http: Service, role: dict[str, Any]) -> None:
        assert http.verdict("invoice-processor", "send_email", {"amount": 50000}) == "allow"
        assert http.verdict("invoice-processor", "read_invoices", {"to": "x"}) == "allow"


@pytest.fixture
def tree(running: Service) -> Callable[[str], str]:
    """The roles of the inheritance section, under a prefix of the test's own."""
    number = next(TREES)

    def name(role: str) -> str:
        return f"{role}-{number}"

    running.clock.set(NOON)
    for role, parent, own, _ in pages.INHERITANCE:
        running.create(
            name=name(role), allowed_tools=own, parent_role_id=name(parent) if parent else ""
        )
    return name


TREES = iter(range(100))


class TestInheritance:
    """The tree of the reference, and the rules below it."""

    def test_the_token_has_the_full_merged_list(
        self, http: Service, tree: Callable[[str], str]
    ) -> None:
        for role, _, own, effective in pages.INHERITANCE:
            claims = payload(http.provision(tree(role))["jwt"])
            assert claims["allowed_tools"] == effective
            _, answered = http.ask("GET", f"{ROLES}?name={tree(role)}")
            assert answered["allowed_tools"] == own

    def test_what_is_inherited_may_be_called(
        self, http: Service, tree: Callable[[str], str]
    ) -> None:
        everything = pages.INHERITANCE[-1][3]
        for role, _, _, effective in pages.INHERITANCE:
            for tool in everything:
                expected = "allow" if tool in effective else "SCOPE_VIOLATION"
                assert http.verdict(tree(role), tool, {}) == expected

    def test_a_fourth_generation_is_refused(
        self, http: Service, tree: Callable[[str], str]
    ) -> None:
        body = {"name": tree("great-grandchild"), "parent_role_id": tree("senior-agent")}
        status, problem = http.ask("POST", ROLES, body)
        assert (status, problem["field"]) == (400, "parent_role_id")
        assert http.ask("GET", f"{ROLES}?name={tree('great-grandchild')}")[0] == 404

    def test_a_chain_is_not_deepened_from_above(
        self, http: Service, tree: Callable[[str], str]
    ) -> None:
        http.create(name=tree("root"))
        _, base = http.ask("GET", f"{ROLES}?name={tree('base-agent')}")
        change = {"parent_role_id": tree("root")}
        assert http.ask("PUT", f"{ROLES}/{base['id']}", change)[0] == 400

    def test_a_role_is_not_created_as_its_own_parent(
        self, http: Service, tree: Callable[[str], str]
    ) -> None:
        body = {"name": tree("self-made"), "parent_role_id": tree("self-made")}
        status, problem = http.ask("POST", ROLES, body)
        assert (status, problem["field"]) == (400, "parent_role_id")

    @pytest.mark.parametrize("descendant", ["base-agent", "extended-agent", "senior-agent"])
    def test_a_circle_is_refused(
        self, http: Service, tree: Callable[[str], str], descendant: str
    ) -> None:
        _, base = http.ask("GET", f"{ROLES}?name={tree('base-agent')}")
        change = {"parent_role_id": tree(descendant)}
        status, problem = http.ask("PUT", f"{ROLES}/{base['id']}", change)
        assert (status, problem["field"]) == (400, "parent_role_id")

    def test_a_child_only_adds(self, http: Service, tree: Callable[[str], str]) -> None:
        name = tree("additive")
        http.create(name=name, allowed_tools=["read_vendors"], parent_role_id=tree("base-agent"))
        claims = payload(http.provision(name)["jwt"])
        assert claims["allowed_tools"] == ["read_invoices", "read_vendors"]

    def test_a_parent_is_never_affected_by_a_child(
        self, http: Service, tree: Callable[[str], str]
    ) -> None:
        path = f"{ROLES}?name={tree('base-agent')}"
        before = http.ask("GET", path)
        http.clock.set("2026-04-29T12:30:00Z")
        http.create(name=tree("late"), allowed_tools=["pay"], parent_role_id=tree("base-agent"))
        assert http.ask("GET", path) == before
        assert http.verdict(tree("base-agent"), "pay", {}) == "SCOPE_VIOLATION"


class TestTimeBasedAccess:
    """Monday to Friday, 08:00 to 19:59 UTC; and each row of the table."""

    @pytest.mark.parametrize(
        ("moment", "open_"),
        [
            (at("mon", 8), True),
            (at("mon", 7, 59), False),
            (at("wed", 12), True),
            (at("wed", 0), False),
            (at("fri", 19, 59), True),
            (at("fri", 20), False),
            (at("sat", 12), False),
            (at("sun", 12), False),
        ],
    )
    def test_the_example(self, http: Service, new_name: str, moment: str, open_: bool) -> None:
        http.create(name=new_name, allowed_tools=["read"], **pages.OFFICE_HOURS)
        http.clock.set(moment)
        assert http.verdict(new_name, "read", {}) == ("allow" if open_ else "TIME_VIOLATION")

    def test_the_window_is_judged_at_the_call_not_at_provision(
        self, http: Service, new_name: str
    ) -> None:
        http.create(name=new_name, allowed_tools=["read"], **pages.OFFICE_HOURS)
        http.clock.set(at("wed", 19, 59))
        jwt = http.provision(new_name)["jwt"]
        assert http.enforce(jwt, "read", {})["decision"] == "allow"
        http.clock.set(at("wed", 20))
        decision = http.enforce(jwt, "read", {})
        assert (decision["deny_code"], decision["severity"]) == ("TIME_VIOLATION", "medium")

    @pytest.mark.parametrize(
        ("start", "end", "hours"),
        [
            (0, 0, range(24)),
            (8, 20, range(8, 20)),
            (8, 0, range(8, 24)),
            (0, 6, range(6)),
            (23, 0, [23]),
        ],
    )
    def test_the_start_is_inclusive_the_end_exclusive_and_0_no_restriction(
        self, http: Service, new_name: str, start: int, end: int, hours: Any
    ) -> None:
        fields = {"allowed_hours_start": start, "allowed_hours_end": end}
        http.create(name=new_name, allowed_tools=["read"], default_ttl_seconds=86_400, **fields)
        http.clock.set(at("wed", 0))
        jwt = http.provision(new_name)["jwt"]
        found = []
        for hour in range(24):
            http.clock.set(at("wed", hour, 30))
            if http.enforce(jwt, "read", {})["decision"] == "allow":
                found.append(hour)
        assert found == list(hours)

    @pytest.mark.parametrize("number", range(7))
    def test_days_count_from_monday(self, http: Service, new_name: str, number: int) -> None:
        names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        http.create(name=new_name, allowed_tools=["read"], allowed_days=[number])
        found = []
        for name in names:
            http.clock.set(at(name, 12))
            if http.verdict(new_name, "read", {}) == "allow":
                found.append(name)
        assert found == [names[number]]

    def test_no_days_are_all_days(self, http: Service, new_name: str) -> None:
        http.create(name=new_name, allowed_tools=["read"], allowed_days=[])
        for name in ("mon", "sat", "sun"):
            http.clock.set(at(name, 12))
            assert http.verdict(new_name, "read", {}) == "allow"
