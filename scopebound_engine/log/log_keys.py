"""The key that a node signs its checkpoints with, and the public halves of all nodes' keys.

The private key stays in the node's data folder; what verifies it is published in the database. Rows
stay when a key is lost and another one made: checkpoints that it signed are to be verified yet.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert, select

from scopebound_engine import whole_file
from scopebound_engine.database.engine import reading, transaction
from scopebound_engine.database.log_tables import log_keys
from scopebound_engine.errors import ConfigError, InputError
from scopebound_engine.log.checkpoints import key_name
from scopebound_engine.log.notes import SignerKey, VerifierKey

FILE: Final = "log-keys/checkpoints.pem"


@dataclass(frozen=True, slots=True)
class PublishedLogKey:
    """A public key that checkpoints of a node are verified with."""

    node: str
    key: VerifierKey
    published_at: datetime


def ensure(engine: Engine, data_dir: Path, node: str, now: datetime) -> SignerKey:
    """The node's key, made if there is none, and published.

    One process at a time may call this. Raises ConfigError, DatabaseUnavailableError.
    """
    file = data_dir / FILE
    if not file.exists():
        _make(file)
    key = read(data_dir, node)
    vkey = str(key.verifier)
    if all(str(known.key) != vkey for known in published(engine)):
        row = {"vkey": vkey, "node": node, "published_at": now}
        with transaction(engine, lock="log_keys") as connection:
            connection.execute(insert(log_keys), row)
    return key


def read(data_dir: Path, node: str) -> SignerKey:
    """The node's key. Raises ConfigError where there is none that will do."""
    file = data_dir / FILE
    try:
        private = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"cannot read the key of the log's checkpoints, {file}: {error}. Restore it; or move "
            "it away, and a start of `scopebound-engine serve` makes another one."
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{file} is not an Ed25519 key; move it away.")
    return SignerKey(key_name(node), private)


def published(engine: Engine) -> list[PublishedLogKey]:
    """The keys of all nodes, eldest first. Raises ConfigError, DatabaseUnavailableError."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(log_keys).order_by(log_keys.c.published_at, log_keys.c.vkey)
        ).all()
    try:
        return [
            PublishedLogKey(row.node, VerifierKey.parse(row.vkey), row.published_at) for row in rows
        ]
    except InputError as error:
        raise ConfigError(f"the table log_keys holds what is no key: {error}; delete it") from error


def _make(file: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole_file.write(file, pem, mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"the key of the log's checkpoints, {file}, cannot be written: {error.strerror}."
        ) from error
