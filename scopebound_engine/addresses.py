"""Where a URL leads, and whether that is a place on the public internet."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS: Final = {"http": 80, "https": 443}
# IPv4 addresses in IPv6 ones, at their end: RFC 4291 (2.5.5), RFC 6052 (2.1).
_WITH_IPV4: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96")
)
# What not every version of Python knows: addresses for protocols (RFC 6890, 2.2.2), among which
# Oracle's cloud tells its machines their secrets; and where Azure's does, in a public range.
_INTERNAL: Final = tuple(
    ipaddress.IPv4Network(text) for text in ("192.0.0.0/24", "168.63.129.16/32")
)
_IPV6_UNICAST: Final = ipaddress.IPv6Network("2000::/3")


class WebAddress(NamedTuple):
    """A URL's parts; `host` is without brackets, `target` path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def web_address(url: str) -> WebAddress:
    """The parts of an http:// or https:// URL. Raises ValueError: what is wrong with it."""
    parts = urlsplit(url) if re.fullmatch("[!-~]+", url) else None
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL, or empty")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or a password")
    if not (port := _PORTS[parts.scheme] if parts.port is None else parts.port):
        raise ValueError("must not name port 0")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebAddress(parts.scheme, parts.hostname, port, target)


def networks(text: str) -> tuple[Network, ...]:
    """Networks separated by blanks or commas. Raises ValueError for what is none."""
    return tuple(map(ipaddress.ip_network, re.findall(r"[^\s,]+", text)))


def is_address(host: str) -> bool:
    """Whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_allowed(text: str, listed: Sequence[Network] = ()) -> bool:
    """Whether an IP address is public, or in a listed network.

    One that carries an IPv4 address within it leads to that one, and is judged by it.
    """
    address = ipaddress.ip_address(text)
    meant = _meant(address)
    if any(one in network for one in (address, meant) for network in listed):
        return True
    if meant.is_multicast or meant.is_reserved or not meant.is_global:
        return False
    if any(meant in network for network in _INTERNAL):
        return False
    return meant.version == 4 or meant in _IPV6_UNICAST


def _meant(address: Address) -> Address:
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if any(address in network for network in _WITH_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address
