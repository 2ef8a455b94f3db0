"""What the README says of commands: that there are such, with such options, and no other."""

import re
from collections.abc import Iterator

import click
import pytest

from scopebound_engine.cli.main import cli
from tests.readme import ROOT

TEXT = (ROOT / "README.md").read_text()
PROGRAM = "scopebound-engine "
# Code in blocks and in lines; what is said there after a blank and a number sign is a comment.
CODE = re.compile(r"^```\w+\n(.*?)^```$|(?<!`)`([^`\n]+)`(?!`)", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^\| `scopebound-engine (\w+) …` \|.*\n\| -.*\n((?:\|.*\n)+)", re.MULTILINE)


def mentions() -> Iterator[str]:
    """The commands in the README, from their first word after the program's name on."""
    for match in CODE.finditer(TEXT):
        for line in (match[1] or match[2]).splitlines():
            for part in re.split(r"&&|;|\s#|\$\(|\| (?!\w+\|)", line):
                _, program, rest = part.partition(PROGRAM)
                if program and not rest.startswith("-"):
                    yield rest


def rows(group: str) -> Iterator[str]:
    """The commands of a group's table, as its rows name them."""
    for name, table in TABLE.findall(TEXT):
        for row in table.splitlines() if name == group else ():
            yield from re.findall(r"`([^`]+)`", row.split(" | ")[0])


def command(group: click.Command, name: str) -> click.Command | None:
    assert isinstance(group, click.Group)
    return group.get_command(click.Context(group), name)


def unknown(group: click.Command, text: str) -> list[str]:
    """The words of a command line that name no command and no option."""
    at, words = [group], text.replace("…", " ").split()
    while words and isinstance(at[0], click.Group):
        names = words.pop(0).split("|")
        found = [command(at[0], name) for name in names]
        if None in found:
            return [name for name, each in zip(names, found, strict=True) if each is None]
        at = [each for each in found if each is not None]
    options = {name for each in at for option in each.params for name in option.opts} | {"--help"}
    return [word for word in words if word.startswith("--") and word not in options]


@pytest.mark.parametrize("text", sorted(set(mentions())))
def test_what_is_mentioned_is_there(text: str) -> None:
    assert unknown(cli, text) == []


@pytest.mark.parametrize("group", ["bundle", "policy"])
def test_what_tables_list_is_there(group: str) -> None:
    parent = command(cli, group)
    assert parent is not None
    assert [row for row in rows(group) if unknown(parent, row)] == []


def test_the_workbench_is_listed_whole() -> None:
    policy = command(cli, "policy")
    assert isinstance(policy, click.Group)
    listed = {row.split()[0] for row in rows("policy")}
    assert listed == set(policy.list_commands(click.Context(policy)))


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_is_mentioned(name: str) -> None:
    assert re.search(rf"(`|{PROGRAM}|make ){name}\b", TEXT)
