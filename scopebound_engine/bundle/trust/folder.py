"""Changes to a folder of trusted keys (`files.py`): one is added, or one is revoked.

Servers read the folder anew for every bundle, so a change needs no restart.
"""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from scopebound_engine import strict_json, whole_file
from scopebound_engine.bundle.trust import jwks
from scopebound_engine.bundle.trust.files import NOTES, PEM, key_of, keys_in
from scopebound_engine.bundle.trust.keys import PS256_MARK, TrustedKey, TrustedKeys
from scopebound_engine.bundle.trust.notes import KeyNotes
from scopebound_engine.bundle.trust.trusted_key import TEXT, TIME_UNKNOWN, is_text
from scopebound_engine.errors import ConfigError, NotFoundError
from scopebound_engine.times import timestamp

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# Public keys are no secret, and the server often runs as another user than whoever manages them.
_MODE: Final = 0o644


def add(
    folder: Path, pem: Path, *, name: str | None = None, not_after: datetime | None = None
) -> TrustedKey:
    """Trust the public key of a PEM file, under its file's name unless another is given.

    Raises ConfigError where it is no such key, is there already, or the name is taken.
    """
    given = key_of(pem)
    name = (name or given.name).removesuffix(PS256_MARK)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a key: use letters, digits, '_', '-' and '.'.")
    file, notes = folder / f"{name}{PEM}", folder / f"{name}{NOTES}"
    key = replace(given, name=name, not_after=not_after or given.not_after, file=file)
    _require_new(folder, key)
    content = key.public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = _notes(key)
    KeyNotes.of(notes, text)
    # In this order: a key without its notes would be trusted for ever.
    _write(notes, text)
    _write(file, content.decode())
    return key_of(file)


def revoke(folder: Path, label: str, *, reason: str, at: datetime) -> TrustedKey:
    """Revoke the key of this id or name, from `at` on and for good.

    One that is revoked already stays as it is. Raises NotFoundError, ConfigError.
    """
    if not is_text(reason):
        raise ConfigError(f"the reason must be {TEXT}.")
    key = _find(TrustedKeys.read(folder), label)
    if key.revoked is None and key.file is not None:
        if key.file.name.endswith(jwks.SUFFIX):
            _revoke_in_set(key.file, key, reason, at)
        else:
            _revoke_in_notes(key.file.with_suffix(NOTES), reason, at)
    return _find(TrustedKeys.read(folder), key.key_id)


def _require_new(folder: Path, key: TrustedKey) -> None:
    present = tuple(keys_in(folder)) if folder.exists() else ()
    for other in present:
        if other.key_id == key.key_id:
            was = ", and was revoked" if other.revoked else ""
            raise ConfigError(f"this key is there already: {other} in {other.file}{was}.")
    if key.file is not None and key.file.exists():
        raise ConfigError(f"{key.file} is there already; choose another name.")
    TrustedKeys((*present, key))


def _find(keys: TrustedKeys, label: str) -> TrustedKey:
    """The key of this id or name, or of a PEM file of this name. Raises NotFoundError."""
    for key in keys.keys:
        if label in key.labels:
            return key
    for key in keys.keys:
        file = key.file
        # A set's file has many keys, so that its name means none of them.
        if file and file.suffix == PEM and label in {file.name, file.stem}:
            return key
    names = ", ".join(map(str, keys.keys))
    raise NotFoundError(f"no trusted key is called {strict_json.quote(label)}; there are: {names}.")


def _revoke_in_notes(file: Path, reason: str, at: datetime) -> None:
    """Notes are one table of fields, so two more at the end leave what is there as it is."""
    text = file.read_text("utf-8") if file.exists() else ""
    text += "\n" if text and not text.endswith("\n") else ""
    text += f"revoked = {timestamp(at)}\nreason = {strict_json.quote(reason)}\n"
    KeyNotes.of(file, text)
    _write(file, text)


def _revoke_in_set(file: Path, key: TrustedKey, reason: str, at: datetime) -> None:
    document = strict_json.loads(file.read_bytes())
    for jwk in document["keys"]:
        if jwk["kid"] == key.name:
            jwk["revoked"] = {"revoked_at": int(at.timestamp()), "reason": reason}
    _write(file, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _notes(key: TrustedKey) -> str:
    lines = [f'id = "{key.key_id}"', f'algorithm = "{key.algorithm}"']
    if key.not_before is not None:
        lines.append(f"not_before = {timestamp(key.not_before)}")
    if key.not_after is not None:
        lines.append(f"not_after = {timestamp(key.not_after)}")
    if key.revoked is not None:
        since = "true" if key.revoked == TIME_UNKNOWN else timestamp(key.revoked)
        lines += [f"revoked = {since}"]
    if key.revoked_reason:
        lines += [f"reason = {strict_json.quote(key.revoked_reason)}"]
    return "\n".join(lines) + "\n"


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        whole_file.write(file, text.encode(), mode=_MODE)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error
