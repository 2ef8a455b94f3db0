"""A disk that fails on demand, for processes that are started with `Faults.environment`."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_SOURCE = Path(__file__).with_name("faults.c")


class Faults:
    """What fails now, for all processes of one environment; see faults.c."""

    def __init__(self, folder: Path) -> None:
        library, self._control = folder / "faults.so", folder / "faults"
        command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, _SOURCE]
        subprocess.run([*command, "-ldl"], check=True, timeout=60)
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAULTS": str(self._control),
        }
        self.end()

    def begin(self, **faults: int) -> None:
        """From now on these fail, and nothing else."""
        text = "".join(f"{name} {value}\n" for name, value in faults.items())
        part = self._control.with_suffix(".part")
        part.write_text(text, encoding="ascii")
        part.replace(self._control)

    def end(self) -> None:
        """All is well again."""
        self.begin()
