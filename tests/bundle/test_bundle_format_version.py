"""Semantic versions are parsed strictly and ordered as semver.org says."""

import itertools

import pytest

from scopebound_engine.bundle.format.version import Version


def test_the_order_is_that_of_the_specification() -> None:
    # The chain of paragraph 11.4.4, between releases.
    texts = [
        "0.9.10",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
    ]
    versions = [Version.parse(text) for text in texts]
    for lower, higher in itertools.combinations(versions, 2):
        assert lower < higher
        assert not higher <= lower
    assert [str(version) for version in versions] == texts


def test_build_metadata_has_no_part_in_the_order() -> None:
    one, other = Version.parse("1.0.0+linux.7"), Version.parse("1.0.0")
    assert one == other
    assert hash(one) == hash(other)
    assert str(one) == "1.0.0+linux.7"


@pytest.mark.parametrize("text", ["1.0.0-0a", "1.0.0--", "1.0.0-x-y.0", "0.0.0", "1.0.0+001"])
def test_odd_but_right_versions_are_taken(text: str) -> None:
    assert str(Version.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.0",
        "v1.0.0",
        "1.0.0.0",
        "01.0.0",
        "1.0.0-01",
        "1.0.0-",
        "1.0.0-a..b",
        "1.0.0+",
        "1.0.0 ",
        "1.0.0\n",
        "-1.0.0",
        "1.\u0660.0",
        "1.0.0-é",
        "1.0." + "9" * 64,
    ],
)
def test_anything_else_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a semantic version"):
        Version.parse(text)
