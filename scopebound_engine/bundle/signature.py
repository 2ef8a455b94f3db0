"""Signatures of bundles in OPA's format, and the only way to a bundle that may be believed.

`.signatures.json` is `{"signatures": [JWS]}`; the payload lists every file of the bundle with its
hash. The format is that of https://www.openpolicyagent.org/docs/management-bundles, "Signature
Format", and of OPA's v1/bundle/verify.go. OPA is followed where it is strict and left where it is
not: no claim, header or file is passed over because nobody asked for it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import jwt

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import archive, content
from scopebound_engine.bundle.format.digest import digest
from scopebound_engine.bundle.format.envelope import HASH, SIGNATURES, Envelope, refusal
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.format.tar import printable
from scopebound_engine.bundle.trust.keys import SigningKey, TrustedKey, TrustedKeys
from scopebound_engine.errors import Finding, InputError, SignatureError

__all__ = ["SIGNATURES", "VerifiedBundle", "identity", "sign", "verify"]


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle that a trusted key signed, whole. Made by `verify` and by nothing else.

    `checksum` is the SHA-256 of the tar.gz as received, in hex. `identity` is that of the signed
    file list: the same for an archive that was packed anew. `key_id` is a thumbprint.
    """

    files: Mapping[str, bytes]
    manifest: Manifest
    checksum: str
    identity: str
    key_id: str

    def modules(self) -> dict[str, str]:
        """All Rego source by file name, tests too."""
        return content.modules(self.files, tests=True)

    def rules(self) -> dict[str, str]:
        """Rego source by file name without `*_test.rego`: what evaluators load."""
        return content.modules(self.files, tests=False)

    def data(self) -> dict[str, Any]:
        """The document `data`: each data.json under its folder. A new copy at each call."""
        return content.data(self.files)


def sign(files: Mapping[str, bytes], key: SigningKey) -> bytes:
    """The `.signatures.json` of these files; one that is among them is passed over.

    Raises InputError where a data.json or `.manifest` is not JSON.
    """
    payload = strict_json.dumps({"files": _file_list(files)})
    token = jwt.api_jws.encode(payload, key.private, key.algorithm, {"kid": key.key_id})
    return json.dumps({"signatures": [token]}, indent=1).encode() + b"\n"


def verify(
    data: bytes, trusted: TrustedKeys, *, at: datetime | None = None, in_force: bool = False
) -> VerifiedBundle:
    """The bundle in these bytes, if a trusted key that is valid signed every file of it.

    Valid `at` a moment, or else now. A bundle that is `in_force` goes on deciding although its key
    was revoked or has expired: that is an alarm (`TrustedKeys.alarm`), because a node without a
    bundle denies every call. A key that is trusted no more at all is refused, in force or not.
    Raises ArchiveError, SignatureError, ManifestError or BundleError, with findings.
    """
    # 1. The bytes are an archive of the strict kind.
    files = archive.read(data)
    # 2. It carries exactly one signature, with a header that hides nothing.
    envelope = Envelope.of(files)
    # 3. A trusted key made it, by that key's own algorithm.
    key = _signer(envelope, trusted)
    # 4. That key is within its time and not revoked.
    if not in_force:
        _require_valid(key, trusted, at or datetime.now(UTC))
    # 5. The payload lists files and their SHA-256, and asks for nothing else.
    signed = envelope.signed_files(key.labels)
    # 6. Every file but the signature is listed and as it was signed; nothing listed is missing.
    _require_same(signed, files)
    # 7. The manifest is well-formed.
    manifest = Manifest.of(files)
    # 8. Modules are text, data is JSON that can be merged.
    content.check(files)
    return VerifiedBundle(
        files=MappingProxyType(files),
        manifest=manifest,
        checksum=hashlib.sha256(data).hexdigest(),
        identity=identity(files),
        key_id=key.key_id,
    )


def identity(files: Mapping[str, bytes]) -> str:
    """The SHA-256, in hex, of the sorted list of files and their hashes, as canonical JSON.

    Raises InputError where a data.json or `.manifest` is not JSON.
    """
    return hashlib.sha256(strict_json.dumps(_file_list(files))).hexdigest()


def _file_list(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    return [
        {"name": name, "hash": digest(name, files[name]), "algorithm": HASH}
        for name in sorted(files)
        if name != SIGNATURES
    ]


def _signer(envelope: Envelope, trusted: TrustedKeys) -> TrustedKey:
    candidates = trusted.named(envelope.kid)
    if not candidates:
        names = ", ".join(map(str, trusted.keys))
        kid = strict_json.quote((envelope.kid or "")[:64])
        raise refusal(f"no trusted key is called {kid}", f"trusted are: {names}")
    for key in candidates:
        if _fits(envelope.token, key):
            return key
    tried = ", ".join(f"{key.name} ({key.algorithm})" for key in candidates)
    algorithm = strict_json.quote(envelope.algorithm[:16])
    raise refusal(
        f"the signature, by {algorithm}, was made by no trusted key; tried {tried}",
        "sign with a key whose public half is trusted here, by that key's algorithm",
    )


def _require_valid(key: TrustedKey, trusted: TrustedKeys, at: datetime) -> None:
    state, why = key.judge(at)
    if state == "valid":
        return
    valid = [str(other) for other in trusted.keys if other.judge(at)[0] == "valid"]
    if valid:
        remedy = f"sign with a key that is valid here: {', '.join(valid)}"
    else:
        remedy = "no trusted key is valid: trust a new one, and sign with it"
    raise refusal(f"the key {key}, which made the signature, {why}", remedy)


def _fits(token: str, key: TrustedKey) -> bool:
    try:
        # The key's algorithm and no other: what the header says only has to agree with it.
        jwt.api_jws.decode(token, key.public, algorithms=[key.algorithm])
    except jwt.PyJWTError:
        return False
    return True


def _require_same(signed: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    present = files.keys() - {SIGNATURES}
    findings = [
        _finding("the file is not signed", _unsigned_remedy(name, signed), name)
        for name in sorted(present - signed.keys())
    ]
    findings += [
        _finding("the file is signed but missing", "pack all that was signed", name)
        for name in sorted(signed.keys() - present)
    ]
    for name in sorted(present & signed.keys()):
        try:
            same = digest(name, files[name]) == signed[name]
        except InputError as error:
            findings.append(_finding(error.detail, "write it as JSON", name))
        else:
            if not same:
                findings.append(_finding("the file is not as it was signed", "sign again", name))
    if findings:
        raise SignatureError("the signature does not cover the bundle", findings)


def _unsigned_remedy(name: str, signed: Mapping[str, str]) -> str:
    if any(other.endswith("/" + name) for other in signed):
        return "names in the signature begin with a folder: sign in it, opa sign --bundle ."
    return "sign again, or take the file out"


def _finding(message: str, remedy: str, name: str) -> Finding:
    return Finding("signature", message, printable(name), remedy=remedy)
