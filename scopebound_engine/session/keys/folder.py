"""The private halves of this node's signing keys: a folder of PEM files for its owner only."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scopebound_engine.bundle.trust.keys import thumbprint
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import ConfigError

KEY_BITS: Final = 2048
_PEM: Final = serialization.Encoding.PEM
_PKCS8: Final = serialization.PrivateFormat.PKCS8

PrivateKeys = dict[str, rsa.RSAPrivateKey]


class KeyFolder:
    """Private keys by their ids. A file is read once: checking an RSA key takes 35 ms."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "keys"
        self._known: dict[Path, tuple[str, rsa.RSAPrivateKey]] = {}

    def alone(self) -> AbstractContextManager[None]:
        """Keep the node's other processes from making keys. See `lockfile.alone`."""
        return alone(self.path / ".lock")

    def read(self) -> PrivateKeys:
        """All keys that are or were there. Raises ConfigError for a file that will not do."""
        for path in sorted(self.path.glob("*.pem")):
            if path not in self._known:
                key = _read(path)
                self._known[path] = (thumbprint(key.public_key()), key)
        return dict(self._known.values())

    def make(self) -> PrivateKeys:
        """A new key, which is on the disk for good when this returns."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        kid = thumbprint(key.public_key())
        pem = key.private_bytes(_PEM, _PKCS8, serialization.NoEncryption())
        unfinished = self._file(kid).with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._file(kid))
        return {kid: key}

    def remove(self, kid: str) -> None:
        """Delete the file of a key that was made here."""
        self._file(kid).unlink(missing_ok=True)

    def _file(self, kid: str) -> Path:
        return self.path / f"{kid}.pem"


def _read(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"cannot read the signing key {path}: {error}; restore it, or move it away: a new one "
            "is made, and sessions signed with the old one stay valid"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise ConfigError(f"{path} is not an RSA key of {KEY_BITS} bits or more; move it away")
    return key
