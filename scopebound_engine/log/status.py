"""What the jobs of the log last found, as small files that every process of the node may read."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from scopebound_engine import strict_json, whole_file
from scopebound_engine.errors import InputError

CHECKPOINTS: Final = "checkpoints"
PUSH: Final = "push"
VERIFICATION: Final = "verify"
_ALL: Final = (CHECKPOINTS, PUSH, VERIFICATION)


class Status:
    """What one job says of itself. `problem`, where it is not empty, is for operators."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"status-{name}.json"
        self._written: Mapping[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        """What was written last; nothing where that is nothing or cannot be read."""
        with suppress(OSError, InputError):
            found = strict_json.loads(self._file.read_bytes())
            if isinstance(found, dict):
                return found
        return {}

    def write(self, found: Mapping[str, Any]) -> None:
        """Put this in place of it, if it differs from what was written here. Raises OSError."""
        if found != self._written:
            whole_file.write(self._file, strict_json.dumps(found), mode=0o600)
            self._written = dict(found)


def problems(folder: Path) -> list[str]:
    """What is wrong with the log, as its jobs last found it."""
    found = (Status(folder, name).read().get("problem") for name in _ALL)
    return [str(problem) for problem in found if problem]
