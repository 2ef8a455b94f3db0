"""Program: the policy that an evaluator runs, as a value that a process can hand to its child."""

import marshal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Program:
    """Rego modules as (path, source), the data document, and the entrypoint `package/rule`.

    Tests are left out. `data` holds plain JSON values: dict, list, str, int, float, bool, None.
    """

    modules: tuple[tuple[str, str], ...]
    data: Mapping[str, Any]
    entrypoint: str

    def to_bytes(self) -> bytes:
        """The bytes for a child process of the same interpreter. Raises ValueError otherwise."""
        return marshal.dumps((self.modules, dict(self.data), self.entrypoint))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Program":
        """Reverses `to_bytes`. Only for bytes of the own parent process: marshal trusts them."""
        return cls(*marshal.loads(data))  # noqa: S302 (written by the parent process)
