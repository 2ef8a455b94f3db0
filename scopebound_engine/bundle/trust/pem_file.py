"""PEM files that hold one key, and what their names say of it."""

from pathlib import Path
from typing import Final

from scopebound_engine.bundle.trust.public_key import PublicKey, algorithm, fit
from scopebound_engine.errors import ConfigError

PS256_MARK: Final = ".ps256"


def read(path: Path) -> bytes:
    """The content of a file that holds one key. Raises ConfigError."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}.") from error
    if pem.count(b"-----BEGIN ") > 1:
        raise ConfigError(f"{path} holds more than one key; put each in a file of its own.")
    return pem


def name(path: Path) -> str:
    """What the key in this file is called: `release` for `release.pem` and `release.ps256.pem`."""
    return path.name.removesuffix(path.suffix).removesuffix(PS256_MARK)


def judged(path: Path, key: object, asked: str | None = None) -> tuple[PublicKey, str]:
    """The public key of a file and its algorithm, which `asked` or the file's name may choose.

    Raises ConfigError for a key that signs no bundle, and for one that does not fit the algorithm.
    """
    marked = path.name.removesuffix(path.suffix).endswith(PS256_MARK)
    if marked and asked not in {None, "PS256"}:
        raise ConfigError(f"{path} is named {PS256_MARK}, but algorithm says {asked}; change one.")
    try:
        public = fit(key)
        return public, algorithm(public, "PS256" if marked else asked)
    except ValueError as error:
        raise ConfigError(f"{path} {error}") from error
