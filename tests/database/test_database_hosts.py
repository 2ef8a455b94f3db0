import pytest

from scopebound_engine.database.hosts import attempts
from scopebound_engine.database.postgres import connect_arguments, parse_url
from scopebound_engine.errors import ConfigError


def arguments(url: str) -> dict[str, object]:
    return connect_arguments(parse_url(url, statement_seconds=1))


def tried(url: str) -> list[tuple[object, object]]:
    """Host and port of each attempt, in order."""
    return [(one.get("host"), one.get("port")) for one in attempts(arguments(url))]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@a:1,b:2/db",
        "postgres://a:1,b:2/db",
        "postgresql+psycopg://u@a:1,b:2",
        "postgresql://u:p,/?x@a:1,b:2/db?sslmode=disable",
        "postgresql://u@/db?host=a:1,b:2",
        "postgresql://u@/db?host=a:1&host=b:2",
        "postgresql://u@/db?host=a,b&port=1,2",
        "postgresql://u@a,b/db?port=1,2",
    ],
)
def test_several_hosts_are_read_in_every_spelling(url: str) -> None:
    assert tried(url) == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@a,b/db", [("a", ""), ("b", "")]),
        ("postgresql://u@a,b:2/db", [("a", ""), ("b", "2")]),
        ("postgresql://u@/db?host=a,b&port=3", [("a", "3"), ("b", "3")]),
        ("postgresql://u@[::1]:1,[::2]:2/db", [("::1", "1"), ("::2", "2")]),
        ("postgresql://u@[::1],b:2/db", [("::1", ""), ("b", "2")]),
        ("postgresql://u@/db?host=::1,b&port=1,2", [("::1", "1"), ("b", "2")]),
        ("postgresql://u@%2Frun%2Fpg:1,b:2/db", [("/run/pg:1", ""), ("b", "2")]),
        ("postgresql://u@/db?host=/run/pg&port=1", [("/run/pg", "1")]),
        ("postgresql://u@/db?host=a:1", [("a", "1")]),
        ("postgresql://u:p,/x@a:1/db", [("a", "1")]),
        ("postgresql://u@a/db?hostaddr=127.0.0.1", [("a", None)]),
        ("postgresql:///db", [(None, None)]),
    ],
)
def test_hosts_and_ports_are_paired_as_libpq_pairs_them(
    url: str, expected: list[tuple[object, object]]
) -> None:
    assert tried(url) == expected


def test_everything_but_host_and_port_is_the_same_in_each_attempt() -> None:
    url = "postgresql://u:p%40,x@a:1,b:2/db?target_session_attrs=read-write&sslmode=disable"
    for one in attempts(arguments(url)):
        assert (one["user"], one["password"], one["dbname"]) == ("u", "p@,x", "db")
        assert (one["target_session_attrs"], one["sslmode"]) == ("read-write", "disable")
        assert "statement_timeout" in one["options"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@/db?host=a,b&port=1,2,3",
        "postgresql://u:secret@/db?host=a:1,b:2&port=1,2",
        "postgresql://u:secret@a:1,b:2/db?port=1,2",
        "postgresql://u:secret@a:1,b:x/db",
        "postgresql://u:secret@/db?host=a:1,b:-2",
        "postgresql://u:secret@a,b,c/db?hostaddr=127.0.0.1,127.0.0.2",
    ],
)
def test_hosts_and_ports_that_do_not_match_are_refused_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError, match="SCOPEBOUND_DATABASE_URL") as error:
        arguments(url)
    assert "secret" not in str(error.value)


def test_addresses_belong_to_their_hosts() -> None:
    each = attempts(arguments("postgresql://a,b/db?hostaddr=127.0.0.1,127.0.0.2"))
    assert [(one["host"], one["hostaddr"]) for one in each] == [
        ("a", "127.0.0.1"),
        ("b", "127.0.0.2"),
    ]


def test_balanced_hosts_are_tried_in_any_order() -> None:
    balanced = "postgresql://a:1,b:2/db?load_balance_hosts=random"
    orders = {tuple(tried(balanced)) for _ in range(100)}
    assert orders == {(("a", "1"), ("b", "2")), (("b", "2"), ("a", "1"))}


def test_every_host_is_asked_for_a_standby_before_one_is_taken_as_it_is() -> None:
    each = attempts(arguments("postgresql://a,b/db?target_session_attrs=prefer-standby"))
    assert [(one["host"], one["target_session_attrs"]) for one in each] == [
        ("a", "standby"),
        ("b", "standby"),
        ("a", "prefer-standby"),
        ("b", "prefer-standby"),
    ]
