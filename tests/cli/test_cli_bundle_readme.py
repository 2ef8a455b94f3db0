"""The README's page for policy authors: its edits apply, its commands say what it shows."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers import environment, serving

ROOT = Path(__file__).parents[2]
TITLE = "## From an edited line to a rolled-back version"
# What differs from run to run: ids, hashes, key ids, times, numbers, and so the width of columns.
VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|[\w-]{43}(?![\w-])"
    r"|\d{4}-\d\d-\d\dT[\d:]+Z|\d+(?:\.\d+)?"
)


def blocks() -> Iterator[tuple[str, str]]:
    """The code blocks of the page: their language and text."""
    _, _, rest = (ROOT / "README.md").read_text().partition(f"\n{TITLE}\n")
    page, _, _ = rest.partition("\n## ")
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def transcript(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, and what each says."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def alike(text: str) -> list[str]:
    return [" ".join(VARYING.sub("#", line).split()) for line in text.splitlines()]


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "manifest.json", tmp_path)
    with serving(tmp_path / ".scopebound", first_start=True, bootstrap_api_key="") as server:
        env = environment(tmp_path / ".scopebound", bootstrap_api_key="")
        env["SCOPEBOUND_BASE_URL"] = server.url
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        for language, text in blocks():
            if language == "diff":
                subprocess.run(
                    ["git", "apply", "-"], input=text, text=True, cwd=tmp_path, check=True
                )
            for command, expected in transcript(text) if language == "console" else ():
                result = subprocess.run(
                    ["bash", "-c", command],
                    env=env,
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert alike(result.stdout) == alike(expected), command


def test_there_is_something_to_try() -> None:
    assert [language for language, _ in blocks()].count("console") >= 3
