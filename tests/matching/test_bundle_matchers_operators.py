"""Each operator of a matcher on real strings, by a slow reference."""

import ipaddress
import re
import string
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopebound_engine.bundle.format.matcher_specs import glob_regex
from tests.matching.judging import judged

REGEXES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", "\\.", "(?i:A)"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("(?:%s|%s)".__mod__)
        | inner.map("(?:%s)*".__mod__)
        | inner.map("(?:%s){1,2}".__mod__)
    ),
    max_leaves=8,
)


# Without a line break at the end: before it, too, Python's $ matches.
@given(REGEXES, st.text("ab.\n", max_size=6).map(lambda text: text.rstrip("\n")))
def test_a_regex_matches_as_pythons_does(pattern: str, value: str) -> None:
    expected = re.search(pattern, value) is not None
    assert judged(value, regex=pattern) == ("yes" if expected else "no")


def slowly(glob: str, text: str) -> bool:
    """What a glob means, said once more: by trying everything."""
    if not glob:
        return not text
    for wild in ("**", "*"):
        if glob.startswith(wild):
            ends = range(len(text) + 1)
            return any(
                (wild == "**" or not BARRED.intersection(text[:end]))
                and slowly(glob[len(wild) :], text[end:])
                for end in ends
            )
    if glob[0] == "?":
        return bool(text) and text[0] not in BARRED and slowly(glob[1:], text[1:])
    literal, rest = (glob[1], glob[2:]) if glob[0] == "\\" else (glob[0], glob[1:])
    return bool(text) and text[0] == literal and slowly(rest, text[1:])


BARRED = {"/", "@", "\x7f", *map(chr, range(32))}


@given(glob=st.text("a*?/@.\\", min_size=1, max_size=7), text=st.text("a*?/@.\\\n", max_size=7))
def test_a_glob_matches_as_its_reference_does(glob: str, text: str) -> None:
    try:
        glob_regex(glob)
    except ValueError:
        return
    assert judged(text, glob=glob) == ("yes" if slowly(glob, text) else "no")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
SOME = TEXT.filter(len)


@given(SOME)
def test_any_character_may_stand_for_itself_in_a_glob(text: str) -> None:
    glob = "".join(f"\\{character}" for character in text)
    assert judged(text, glob=glob) == "yes"
    assert judged(text + "x", glob=glob) == "no"


@pytest.mark.parametrize("character", sorted({*string.printable} - {*"*?[]{}\\"}))
def test_what_is_no_wildcard_stands_for_itself(character: str) -> None:
    assert judged(character, glob=character) == "yes"
    assert judged("é" if character != "é" else "e", glob=character) == "no"


@pytest.mark.parametrize(
    ("glob", "value", "answer"),
    [
        ("*@company.com", "alice@company.com", "yes"),
        ("*@company.com", "first.last+tag@company.com", "yes"),
        ("*@company.com", "alice@company.com.evil.example", "no"),
        ("*@company.com", "alice@evil.example,bob@company.com", "no"),
        ("*@company.com", "a\nbcc: eve@company.com", "no"),
        ("*@company.com", "alice@COMPANY.com", "no"),
        ("**@company.com", "alice@evil.example,bob@company.com", "yes"),
        ("*.company.com", "a.b.company.com", "yes"),
        ("*.company.com", "company.com", "no"),
        ("*.company.com", "evil.example/.company.com", "no"),
        ("/srv/*.csv", "/srv/a.csv", "yes"),
        ("/srv/*.csv", "/srv/a/b.csv", "no"),
        ("/srv/**.csv", "/srv/a/b.csv", "yes"),
        ("/srv/**", "/srv/", "yes"),
        ("/srv/**", "/srv", "no"),
        ("read_?", "read_é", "yes"),
        ("read_?", "read_", "no"),
        ("read_?", "read_xy", "no"),
        ("a\\*b", "a*b", "yes"),
        ("a\\*b", "axb", "no"),
        ("**", "\n/@\x00é", "yes"),
    ],
)
def test_globs_of_mail_domains_and_paths(glob: str, value: str, answer: str) -> None:
    assert judged(value, glob=glob) == answer


@pytest.mark.parametrize(
    ("cidr", "value", "answer"),
    [
        ("10.0.0.0/8", "10.255.0.1", "yes"),
        ("10.0.0.0/8", "11.0.0.0", "no"),
        ("10.0.0.0/8", "::1", "no"),
        ("0.0.0.0/0", "255.255.255.255", "yes"),
        ("169.254.169.254/32", "169.254.169.254", "yes"),
        ("fd00::/8", "fd12:3456::1", "yes"),
        ("fd00::/8", "FD12:3456::1", "yes"),
        ("fd00::/8", "10.0.0.1", "no"),
        ("::/0", "1:2:3:4:5:6:1.2.3.4", "yes"),
        (["10.0.0.0/8", "fd00::/8"], "fd00::", "yes"),
        # Ways to write an address around a rule.
        ("10.0.0.0/8", "::ffff:10.0.0.1", "unfit"),
        ("::/0", "::ffff:a00:1", "unfit"),
        ("10.0.0.0/8", "::10.0.0.1", "unfit"),
        ("10.0.0.0/8", "::ffff:0:10.0.0.1", "unfit"),
        ("10.0.0.0/8", "64:ff9b::10.0.0.1", "unfit"),
        ("10.0.0.0/8", "64:ff9b:1::a00:1", "unfit"),
        ("10.0.0.0/8", "2002:a00:1::1", "unfit"),
        ("10.0.0.0/8", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "unfit"),
        ("::/128", "::", "yes"),
        ("::1/128", "::1", "yes"),
        ("2001:db8::/32", "2001:db8::1", "yes"),
        ("10.0.0.0/8", "010.0.0.1", "unfit"),
        ("10.0.0.0/8", "10.0.0.01", "unfit"),
        ("10.0.0.0/8", "10.1", "unfit"),
        ("10.0.0.0/8", "167772161", "unfit"),
        ("10.0.0.0/8", "0xa.0.0.1", "unfit"),
        ("10.0.0.0/8", "10.0.0.1 ", "unfit"),
        ("10.0.0.0/8", "10.0.0.1\n", "unfit"),
        ("10.0.0.0/8", "10.0.0.1:80", "unfit"),
        ("10.0.0.0/8", "10.0.0.1/8", "unfit"),
        ("10.0.0.0/8", "\uff110.0.0.1", "unfit"),
        ("fe80::/10", "fe80::1%eth0", "unfit"),
        ("fe80::/10", "[fe80::1]", "unfit"),
        ("10.0.0.0/8", "localhost", "unfit"),
        ("10.0.0.0/8", "", "unfit"),
        ("10.0.0.0/8", "1" * 100_000, "unfit"),
    ],
)
def test_an_address_is_in_a_network_or_is_none(cidr: Any, value: str, answer: str) -> None:
    assert judged(value, cidr=cidr) == answer


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_networks_are_those_of_their_bits(address: ipaddress.IPv4Address, length: int) -> None:
    bits = 32 - length
    network = ipaddress.IPv4Address(int(address) >> bits << bits)
    assert judged(str(address), cidr=f"{network}/{length}") == "yes"
    if length:
        other = ipaddress.IPv4Address(int(address) ^ (1 << bits))
        assert judged(str(other), cidr=f"{network}/{length}") == "no"


@given(st.lists(SOME, min_size=1, max_size=3), TEXT)
def test_prefixes_and_suffixes_are_compared_by_character(patterns: list[str], value: str) -> None:
    starts = any(value[: len(pattern)] == pattern for pattern in patterns)
    ends = any(value[-len(pattern) :] == pattern for pattern in patterns)
    assert judged(value, prefix=patterns) == ("yes" if starts else "no")
    assert judged(value, suffix=patterns) == ("yes" if ends else "no")


@pytest.mark.parametrize(
    ("pattern", "value", "answer"),
    [
        ("alice", "ALICE", "yes"),
        ("ALICE", "alice", "yes"),
        ("alice", "alic\u0435", "no"),  # the last letter is Cyrillic
        ("alice", "alice ", "no"),
        ("Ärger", "äRGER", "yes"),
        ("ΣΑΣ", "σας", "yes"),
        ("straße", "STRAßE", "yes"),
        ("İ", "İ", "yes"),
        # Letters that fold to others, are written in two parts, or are wide.
        ("kim", "\u212aim", "unfit"),
        ("sam", "\u017fam", "unfit"),
        ("strasse", "straße", "unfit"),
        ("straße", "STRASSE", "unfit"),
        ("file", "ﬁle", "unfit"),
        ("Ärger", "A\u0308rger", "unfit"),
        ("A\u0308rger", "ärger", "unfit"),
        ("admin", "\uff41dm\uff49n", "unfit"),
        ("admin", "\u24d0dmin", "unfit"),
        (["admin", "root"], "ROOT", "yes"),
        ("a", "a" * 1_000_000, "no"),
    ],
)
def test_texts_are_equal_but_for_case_or_only_look_so(
    pattern: Any, value: str, answer: str
) -> None:
    assert judged(value, casefold_equals=pattern) == answer


@given(SOME, TEXT)
def test_what_folds_alike_is_never_a_no(pattern: str, value: str) -> None:
    answer = judged(value, casefold_equals=pattern)
    if value.casefold() == pattern.casefold():
        assert answer in {"yes", "unfit"}
    if answer == "yes":
        assert value.casefold() == pattern.casefold()
    assert judged(unicodedata.normalize("NFD", pattern), casefold_equals=pattern) != "no"
