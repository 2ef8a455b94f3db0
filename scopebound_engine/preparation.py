"""What must be there before the service can serve: made once, found again at every later start."""

import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from scopebound_engine import whole_file
from scopebound_engine.access.api_keys import ApiKeyStore
from scopebound_engine.access.model import ADMIN
from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.bundle.gate import gate
from scopebound_engine.bundle.registry.registry import Actor, Registry
from scopebound_engine.bundle.signature import SIGNATURES, sign, verify
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKeys
from scopebound_engine.config import Config
from scopebound_engine.database.engine import migrate, open_database
from scopebound_engine.database.lockfile import alone
from scopebound_engine.errors import ConfigError, ConflictError, SignatureError
from scopebound_engine.log import checkpoints, log_keys
from scopebound_engine.masking import make_key
from scopebound_engine.node import NODE_ID_FILE, database_url, log_dir, node_id
from scopebound_engine.session.keys.signing import SigningKeys
from scopebound_engine.times import moment

BUNDLE_KEY_FILE: Final = "bundle-keys/signing.pem"


@dataclass(frozen=True, slots=True)
class Prepared:
    """`api_key_file` holds the admin key made at the first start.

    None where it came from outside, or where another node on the same database made it.
    """

    api_key_file: Path | None


def prepare(config: Config) -> Prepared:
    """Make what is missing: folder, tables, keys, an API key, a name, an active bundle.

    Safe to call from several processes at once. Raises ConfigError, DatabaseUnavailableError,
    BundleError.
    """
    make_data_dir(config.data_dir)
    with alone(config.data_dir / "prepare.lock"):
        engine = open_database(database_url(config), config.data_dir)
        migrate(engine)
        SigningKeys.open(engine, config.data_dir, time.time)
        api_key_file = _api_key(config, ApiKeyStore(engine, time.time))
        _node_id(config.data_dir)
        make_key(config.data_dir)
        _log_key(config, engine)
        _bundle(config, Registry(engine, time.time))
        engine.dispose()
    return Prepared(api_key_file)


def open_migrated(config: Config) -> Engine:
    """The configured database, for a command that works on it without a server.

    Its tables and the data folder are there. Raises ConfigError, DatabaseUnavailableError.
    """
    make_data_dir(config.data_dir)
    engine = open_database(database_url(config), config.data_dir)
    migrate(engine)
    return engine


def make_data_dir(data_dir: Path) -> None:
    """Make the data folder, for its owner only. Raises ConfigError."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"the data folder {data_dir} cannot be made or used: {error.strerror}. "
            "Give this user the right to write there, or set SCOPEBOUND_DATA_DIR."
        ) from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise ConfigError(
            f"the data folder {data_dir} is not writable for this user. "
            "Change its owner, or set SCOPEBOUND_DATA_DIR."
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _api_key(config: Config, store: ApiKeyStore) -> Path | None:
    if config.bootstrap_api_key is not None:
        store.adopt(config.bootstrap_api_key.get_secret_value())
        return None
    file = config.api_key_file
    if not store.list():
        # Suppressed: another node on the same database was faster.
        with suppress(ConflictError):
            _, secret = store.create("first-start", frozenset({ADMIN}))
            write_private(file, secret + "\n")
            return file
    return file if file.exists() else None


def _node_id(data_dir: Path) -> None:
    if not (data_dir / NODE_ID_FILE).exists():
        whole_file.write(data_dir / NODE_ID_FILE, f"{uuid.uuid4()}\n".encode(), mode=0o600)


def _log_key(config: Config, engine: Engine) -> None:
    """The key of the log's checkpoints, and the first of these, of a log without records."""
    node = node_id(config.data_dir)
    key = log_keys.ensure(engine, config.data_dir, node, moment(time.time()))
    file = log_dir(config) / checkpoints.FILE
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if not file.exists():
            checkpoints.append(file, [checkpoints.signed(checkpoints.empty(node), key)])
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error


def _bundle(config: Config, registry: Registry) -> None:
    if registry.generation():
        return
    key = _bundle_key(config)
    files = build(config.policies, config.policies.parent / "manifest.json")
    data = archive.write(files | {SIGNATURES: sign(files, key)})
    trusted = TrustedKeys.read(config.trusted_keys_dir)
    try:
        bundle = verify(data, trusted)
    except SignatureError as error:
        raise ConfigError(
            f"no bundle was ever activated, and the one built from {config.policies} is signed "
            f"with a key that {config.trusted_keys_dir} does not hold. Copy "
            f"{_public_file(config)} there, and start again."
        ) from error
    warnings, actor = gate.require(bundle).warnings, Actor("first start")
    # Suppressed: another node on the same database was faster, with a higher version.
    with suppress(ConflictError):
        stored = registry.store(
            data, bundle, description="shipped policies", actor=actor, warnings=warnings
        )
        registry.activate(stored.id, actor=actor, if_none=True)


def _bundle_key(config: Config) -> SigningKey:
    file = config.data_dir / BUNDLE_KEY_FILE
    if not file.exists():
        key = SigningKey.generate("es256")
        write_private(file, key.private_pem())
        for public in {_public_file(config), config.data_dir / "bundle-keys/trusted/local.pem"}:
            public.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            public.write_text(key.public_pem())
    return SigningKey.read(file)


def _public_file(config: Config) -> Path:
    return config.data_dir / "bundle-keys/signing.pub.pem"
