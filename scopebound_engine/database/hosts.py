"""Several PostgreSQL hosts in one URL: read in every spelling, and tried one by one.

libpq writes them `user@a:5432,b:5432/database`, SQLAlchemy `?host=a:5432&host=b:5432`. Source of
the rules: https://www.postgresql.org/docs/current/libpq-connect.html, "Specifying Multiple Hosts".
"""

import random
import re
from typing import Any, Final
from urllib.parse import unquote

from sqlalchemy import URL, make_url

from scopebound_engine.errors import ConfigError

# As in SQLAlchemy a password may hold "/", "?" and ",": it ends at the first "@", if there is one.
_SEVERAL: Final = re.compile(
    r"(?P<before>[\w+]+://(?:[^:/]*(?::[^@]*)?@)?+)(?P<hosts>[^/?@]*,[^/?@]*)(?P<after>([/?].*)?)"
)


def read(url: str) -> URL:
    """The URL, with several hosts as `?host=a,b&port=5432,5432`, whichever way they were written.

    Raises ConfigError when hosts and ports do not match, and what make_url raises.
    """
    several = _SEVERAL.fullmatch(url)
    parsed = make_url(several["before"] + several["after"] if several else url)
    query = parsed.normalized_query
    if "host" in query:
        named = ",".join(query["host"]).split(",")
    elif several:
        named = [unquote(host) for host in several["hosts"].split(",")]
    else:
        return parsed
    hosts, ports = zip(*map(_host_and_port, named), strict=True)
    apart = ",".join(query.get("port", ())) or str(parsed.port or "")
    paired = _paired(ports, apart.split(","))
    if "hostaddr" in query and len(",".join(query["hostaddr"]).split(",")) != len(hosts):
        raise ConfigError(
            f"SCOPEBOUND_DATABASE_URL names {len(hosts)} host(s) and not as many in hostaddr; "
            "give each its address, or leave out hostaddr="
        )
    return parsed.update_query_dict(
        {"host": ",".join(hosts)} | ({"port": ",".join(paired)} if any(paired) else {})
    )


def attempts(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """libpq's arguments with one host each, in the order in which to try them."""
    lists = {
        name: str(arguments[name]).split(",")
        for name in ("host", "hostaddr", "port")
        if name in arguments
    }
    each = [
        {**arguments, **{name: values[at % len(values)] for name, values in lists.items()}}
        for at in range(max(map(len, lists.values()), default=1))
    ]
    if arguments.get("load_balance_hosts") == "random":
        random.shuffle(each)
    if arguments.get("target_session_attrs") == "prefer-standby":
        # All are asked for a standby before any is taken as it is.
        return [{**one, "target_session_attrs": "standby"} for one in each] + each
    return each


def _host_and_port(named: str) -> tuple[str, str]:
    """Of `host:5432`, `[::1]:5432`, or what has no port: a host, an IPv6 address, a folder."""
    if named.startswith("["):
        host, _, port = named[1:].partition("]")
        return host, port.removeprefix(":")
    if named.startswith("/") or named.count(":") > 1:
        return named, ""
    host, _, port = named.partition(":")
    return host, port


def _paired(own: tuple[str, ...], apart: list[str]) -> list[str]:
    """A port for each host, empty for the usual one: its own, or that of a list apart."""
    if any(own) and any(apart):
        raise ConfigError(
            "SCOPEBOUND_DATABASE_URL gives ports with the hosts and apart from them; "
            "write each host as host:port and leave out port="
        )
    ports = list(own) if any(own) else apart * len(own) if len(apart) == 1 else apart
    if len(ports) != len(own) or not all(re.fullmatch(r"[0-9]*", port) for port in ports):
        raise ConfigError(
            f"SCOPEBOUND_DATABASE_URL names {len(own)} host(s), and not as many ports in digits; "
            "write postgresql://user:password@host:5432,other:5432/database"
        )
    return ports
