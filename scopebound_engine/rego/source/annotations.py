"""The `# METADATA` comments of a source, as https://www.openpolicyagent.org/docs/policy-language
describes them: YAML in a block of comment lines, about the package or the rule that follows.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from scopebound_engine.rego.source.tokens import Source

_MARK: Final = re.compile(r"^#[ \t]*METADATA[ \t]*$")
_COMMENT: Final = re.compile(r"#(.*)$")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A block of metadata. `line` is that of its mark; `target` the first line of what it is about.

    `lines` has the line of each field by its path (`custom.code`). Where `wrong` is not empty the
    YAML cannot be read, and there are no `fields`; `line` is then where it fails.
    """

    line: int
    target: int
    of_package: bool
    fields: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    wrong: str = ""

    def line_of(self, path: str) -> int:
        """The line of a field, or of the mark where there is none."""
        return self.lines.get(path, self.line)


def annotations(source: Source) -> Iterator[Annotation]:
    """All blocks of a source that stand before something, in order."""
    lines = source.text.split("\n")
    code = {source.place(token.start)[0]: token for token in reversed(source.tokens)}
    spans = [range(source.place(t.start)[0], source.place(t.end)[0]) for t in source.tokens]
    inside = {line + 1 for span in spans for line in span}
    for number, text in enumerate(lines, start=1):
        if number in inside or not _MARK.match(text.strip()):
            continue
        comments = _block(lines, number)
        after = min((line for line in code if line > number), default=0)
        if after:
            yield _read(comments, number, after, of_package=code[after].text == "package")


def _block(lines: list[str], mark: int) -> list[str]:
    """The comment lines below the mark, without their signs."""
    found = []
    for text in lines[mark:]:
        comment = _COMMENT.match(text.strip())
        if comment is None:
            break
        found.append(comment[1])
    return found


def _read(comments: list[str], mark: int, target: int, *, of_package: bool) -> Annotation:
    loader = yaml.SafeLoader("\n".join(comments))
    try:
        node = loader.get_single_node()
        value = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        below = error.problem_mark.line if error.problem_mark else 0
        line = mark + min(below + 1, len(comments))
        return Annotation(line, target, of_package, wrong=error.problem or "it is not YAML")
    # A date that no calendar has is a ValueError.
    except (yaml.YAMLError, ValueError) as error:
        return Annotation(mark, target, of_package, wrong=str(error))
    if not isinstance(value, dict):
        return Annotation(mark, target, of_package, wrong="it has no fields")
    return Annotation(mark, target, of_package, value, dict(_lines(node, mark + 1, "")))


def _lines(node: Any, first: int, prefix: str) -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        yield path, first + key.start_mark.line
        yield from _lines(value, first, f"{path}.")
