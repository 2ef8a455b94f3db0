"""Pages of the README that are tried: what their commands say here is what they say there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import RunningServer, environment

ROOT = Path(__file__).parents[1]
# What differs from run to run: ids, hashes, key ids, times, numbers, and so the width of columns.
VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{12}…|[\w-]{43}(?![\w-])"
    r"|\d{4}-\d\d-\d\dT[\d:]+Z|\d+(?:\.\d+)?"
)
_END = "the command is over"


def blocks(title: str) -> Iterator[tuple[str, str]]:
    """The code blocks below a heading, with its number signs: their language and text."""
    level, _, _ = title.partition(" ")
    _, _, rest = (ROOT / "README.md").read_text().partition(f"\n{title}\n")
    page, *_ = re.split(rf"\n#{{2,{len(level)}}} ", rest)
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def transcript(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, and what each says."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def alike(text: str) -> list[str]:
    """What a command says, but for what differs from run to run."""
    return [" ".join(VARYING.sub("#", line).split()) for line in text.splitlines()]


class Shell:
    """One shell for the commands of a page, so that each has what those before it set."""

    def __init__(self, folder: Path, server: RunningServer) -> None:
        self._folder = folder
        env = environment(folder / ".scopebound", bootstrap_api_key="")
        env["SCOPEBOUND_BASE_URL"] = server.url
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        self._bash = subprocess.Popen(
            ["bash", "--norc"],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bash.kill()
        self._bash.communicate()

    def says(self, command: str) -> str:
        """What a command writes, to either stream."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\necho '{_END}'\n")
        self._bash.stdin.flush()
        lines = iter(self._bash.stdout.readline, "")
        said = []
        for line in lines:
            if line.rstrip("\n").endswith(_END):
                return "".join([*said, line.rstrip("\n").removesuffix(_END)])
            said.append(line)
        raise AssertionError(f"the shell ended at {command}")

    def apply(self, diff: str) -> None:
        """Make the edit that a block of the language diff shows."""
        subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=self._folder, check=True)


def tried(title: str, shell: Shell) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of a page, run in order, with what it says, and what the page has it say.

    The edits of the page are made on the way.
    """
    for language, text in blocks(title):
        if language == "diff":
            shell.apply(text)
        for command, expected in transcript(text) if language == "console" else ():
            yield [command, *alike(shell.says(command))], [command, *alike(expected)]
