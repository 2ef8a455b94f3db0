"""A node's own copies of the bundles: what is read is checked, and what is damaged is mended.

Every copy lies under the data folder at its version's `bundle_path` and counts only while its
SHA-256 is the version's checksum. One that is missing or damaged is fetched from the database and
written anew. Bytes that are not what was uploaded are never answered: where neither the copy nor
the database has them the version cannot be loaded on this node.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from scopebound_engine import whole_file
from scopebound_engine.bundle.registry.registry import BundleVersion
from scopebound_engine.errors import BundleError, Finding

# So long a damage that was mended is named: its cause may still be there.
NAMED_SECONDS: Final = 300.0
_ABANDONED_SECONDS: Final = 3600.0
_FOLDER: Final = "bundle-history"
_PATH: Final = re.compile(_FOLDER + r"/bundle-[0-9]{8}-[0-9]{6}\.tar\.gz")
_HALF_WRITTEN: Final = ".bundle-*"  # see `whole_file`

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Problem:
    """What was wrong with a place; `mended_at`, a monotonic time, where it is not any more."""

    sentence: str
    mended_at: float | None = None


class History:
    """The copies in one data folder. Safe for many threads, and beside other processes."""

    def __init__(self, data_dir: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._data_dir, self._monotonic = data_dir, monotonic
        self._noting, self._writing = threading.Lock(), threading.Lock()
        self._noted: dict[str, _Problem] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with copies or rows, and for five minutes what was mended; a sentence each.

        As `load` and `audit` found it: nothing is read here.
        """
        since = self._monotonic() - NAMED_SECONDS
        with self._noting:
            return tuple(
                problem.sentence
                for problem in self._noted.values()
                if problem.mended_at is None or problem.mended_at > since
            )

    def load(self, version: BundleVersion, fetch: Callable[[], bytes]) -> bytes:
        """The bytes of a version: this node's copy, or what `fetch` reads in the database.

        Raises BundleError where neither is what was uploaded, and whatever `fetch` raises.
        """
        path = self._path(version)
        data = _read(path)
        if data is not None and _is(data, version):
            self._clear(version.bundle_path)
            return data
        row = fetch()
        self._judge_row(version, row)
        if not _is(row, version):
            raise self._lost(version, damaged=data is not None)
        self._replace(path, row, version, damaged=data is not None)
        return row

    def find(self, checksum: str) -> bytes | None:
        """The bytes of this checksum, where a copy has them; nothing is mended or noted."""
        for path in sorted((self._data_dir / _FOLDER).glob("bundle-*.tar.gz")):
            data = _read(path)
            if data is not None and hashlib.sha256(data).hexdigest() == checksum:
                return data
        return None

    def audit(self, versions: Iterable[BundleVersion], fetch: Callable[[str], bytes]) -> None:
        """Check copy and row of these versions; a missing copy is written.

        `fetch` reads the row of a version's id. What is wrong is told by `problems`, not raised;
        raises what `fetch` raises.
        """
        for version in versions:
            # Suppressed: it is noted where it was found.
            with suppress(BundleError):
                self._check(version, fetch(version.id))

    def forget_all_but(self, kept: Iterable[BundleVersion]) -> None:
        """Remove the copies of all other versions, and what a killed process left half written."""
        places = {place for version in kept for place in (version.id, version.bundle_path)}
        with self._noting:
            self._noted = {place: self._noted[place] for place in self._noted if place in places}
        folder = self._data_dir / _FOLDER
        for path in folder.glob("bundle-*.tar.gz"):
            if f"{_FOLDER}/{path.name}" not in places:
                path.unlink(missing_ok=True)
        for path in folder.glob(_HALF_WRITTEN):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    path.unlink()

    def _check(self, version: BundleVersion, row: bytes) -> None:
        self._judge_row(version, row)
        self.load(version, lambda: row)

    def _path(self, version: BundleVersion) -> Path:
        """Where the copy lies; never outside of the folder, whatever the database says."""
        if not _PATH.fullmatch(version.bundle_path):
            raise self._refusal(version, "its bundle_path in the database is not that of a bundle")
        return self._data_dir / version.bundle_path

    def _judge_row(self, version: BundleVersion, row: bytes) -> None:
        if _is(row, version):
            self._clear(version.id)
        else:
            self._note(
                version.id,
                f"the database's bytes of {_name(version)} are damaged: their SHA-256 is not "
                f"{version.checksum}; restore them from a backup, or remove the version",
            )

    def _replace(self, path: Path, data: bytes, version: BundleVersion, *, damaged: bool) -> None:
        try:
            with self._writing:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                whole_file.write(path, data, mode=0o600)
        except OSError as error:
            self._note(
                version.bundle_path,
                f"the copy of {_name(version)} cannot be written to {path}: {error.strerror}; "
                "give this user the right to, and room on the disk",
            )
            return
        if damaged:
            sentence = f"the copy of {_name(version)} in {path} was damaged; it was written anew"
            self._note(version.bundle_path, sentence, mended=True)
        else:
            self._clear(version.bundle_path)

    def _lost(self, version: BundleVersion, *, damaged: bool) -> BundleError:
        copy = "damaged" if damaged else "missing"
        what = f"this node's copy is {copy}, and the database's bytes are damaged"
        return self._refusal(version, what)

    def _refusal(self, version: BundleVersion, what: str) -> BundleError:
        self._note(version.bundle_path, f"{_name(version)} is corrupt: {what}")
        finding = Finding(
            "history",
            what,
            file=version.bundle_path,
            remedy="activate another version, or restore this one's bytes from a backup",
        )
        return BundleError(f"{_name(version)} is corrupt", [finding])

    def _note(self, place: str, sentence: str, *, mended: bool = False) -> None:
        problem = _Problem(sentence, self._monotonic() if mended else None)
        with self._noting:
            former = self._noted.get(place)
            self._noted[place] = problem
        if former is None or former.sentence != sentence:
            log.error("bundle history damaged", reason=sentence, mended=mended)

    def _clear(self, place: str) -> None:
        """The place is sound now; what was mended lately stays named for its time."""
        with self._noting:
            problem = self._noted.get(place)
            if problem is not None and problem.mended_at is None:
                del self._noted[place]


def _is(data: bytes, version: BundleVersion) -> bool:
    return hashlib.sha256(data).hexdigest() == version.checksum


def _name(version: BundleVersion) -> str:
    return f"bundle {version.version} ({version.id})"


def _read(path: Path) -> bytes | None:
    """The file's bytes, None where there is no file; empty where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""
