"""Which addresses are public, whatever form they come in."""

import pytest

from scopebound_engine.addresses import is_allowed, networks, web_address

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34"]


def forms(address: str) -> list[str]:
    """An IPv4 address in IPv6 ones."""
    a, b, c, d = map(int, address.split("."))
    words = f"{a << 8 | b:x}:{c << 8 | d:x}"
    return [f"::ffff:{address}", f"::{words}", f"64:ff9b::{words}", f"2002:{words}::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused_in_every_form(address: str) -> None:
    for form in (address, *forms(address)):
        assert not is_allowed(form), form
        assert is_allowed(form, networks(f"{address}/32")), form


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_allowed_in_every_form(address: str) -> None:
    for form in (address, *forms(address)):
        assert is_allowed(form), form


@pytest.mark.parametrize(
    "address",
    [
        *("::", "::1", "fe80::1", "fe80::1%2", "fc00::1", "fd12::1", "ff02::1", "ff0e::1"),
        *("2001:db8::1", "2001::1", "64:ff9b:1::8.8.8.8", "::ffff:0:8.8.8.8", "100::1"),
        *("4000::1", "fec0::1", "5f00::1"),
    ],
)
def test_other_ipv6_addresses_are_refused(address: str) -> None:
    assert not is_allowed(address)


def test_public_ipv6_is_allowed_and_networks_can_be_listed() -> None:
    assert is_allowed("2606:4700:4700::1111")
    listed = networks(" 10.1.0.0/16, fd00::/8\t192.168.7.7 ")
    assert is_allowed("10.1.2.3", listed)
    assert is_allowed("fd00::5", listed)
    assert is_allowed("192.168.7.7", listed)
    assert not is_allowed("10.2.0.1", listed)
    assert networks("") == networks(" , ") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "lan", "10.0.0.0/8;1.1.1.1"])
def test_what_is_no_network_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        networks(text)


def test_a_url_comes_apart() -> None:
    url = web_address("https://Hooks.Example:8443/a/b?c=d#e")
    assert url == ("https", "hooks.example", 8443, "/a/b?c=d")
    assert url.authority == "hooks.example:8443"
    assert web_address("http://[2606:4700::1]").authority == "[2606:4700::1]"
    assert web_address("https://h?x").target == "/?x"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://h/", "//h/", "https://", "https:///x", "https://h:0/", "https://h:65536/"),
        *("https://h:x/", "https://user@h/", "https://user:pw@h/", "https://@h/", "https://h /"),
        *("https://h/\r\nHost: x", "https://[::1", "https://h\\@x/", "https://ä/", ""),
    ],
)
def test_what_is_no_address_of_the_web_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        web_address(url)
