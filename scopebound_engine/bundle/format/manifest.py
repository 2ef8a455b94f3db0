"""The manifest: what a bundle says of itself, checked into a value.

`manifest.json` is this project's; `.manifest` is OPA's. The fields of the former may also stand in
`.manifest`, under `metadata.scopebound`, the one place that `opa build` carries over.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.bundle.format import matcher_specs, thresholds
from scopebound_engine.bundle.format.matcher_specs import MatcherSpec
from scopebound_engine.bundle.format.thresholds import Thresholds
from scopebound_engine.bundle.format.version import Version
from scopebound_engine.errors import Finding, InputError, ManifestError
from scopebound_engine.verdict import SEVERITIES

FILE: Final = "manifest.json"
OPA_FILE: Final = ".manifest"

# The severities of the API reference's table of deny codes.
REFERENCE_SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SCOPE_VIOLATION": "medium",
        "PARAMETER_VIOLATION": "high",
        "ENV_VIOLATION": "high",
        "TIME_VIOLATION": "medium",
        "DATA_LIMIT_EXCEEDED": "high",
        "DELEGATION_DEPTH_EXCEEDED": "critical",
        "SESSION_EXPIRED": "low",
        "RATE_LIMIT_EXCEEDED": "medium",
        "BEHAVIORAL_DRIFT": "high",
    }
)
# The engine says the first three itself; at the last the published client renews its session.
RESERVED_CODES: Final = frozenset({"JWT_INVALID", "REQUEST_INVALID", "POLICY_ERROR", "JWT_EXPIRED"})

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{2,63}")
_ENTRYPOINT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)+")
_REQUIRED: Final = ("name", "version", "entrypoint", "deny_codes")
_LONGEST_DESCRIPTION: Final = 500

Document = Mapping[str, Any]
_Check = Callable[[Any], Iterator[str]]


@dataclass(frozen=True, slots=True)
class DenyCode:
    """A code that the bundle's rules may deny with."""

    code: str
    severity: str
    description: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose every field is as it must be. `raw` is the document it was read from."""

    name: str
    version: str
    entrypoint: str
    deny_codes: tuple[DenyCode, ...]
    raw: Document

    @property
    def semantic_version(self) -> Version:
        """The version as a value with an order."""
        return Version.parse(self.version)

    @property
    def thresholds(self) -> Thresholds:
        """The bounds that the gate holds this bundle to."""
        return Thresholds(**self.raw.get("thresholds", {}))

    @property
    def matchers(self) -> Mapping[str, MatcherSpec]:
        """What the engine matches for this bundle's rules, by name."""
        return matcher_specs.read(self.raw.get("matchers", {}))

    @classmethod
    def from_bytes(cls, data: bytes, file: str = FILE) -> "Manifest":
        """The manifest in a JSON document. Raises ManifestError with a finding for all wrong."""
        document, findings = _document(data, file)
        findings += _findings(document, file, required=_REQUIRED)
        if findings:
            raise ManifestError("the manifest is wrong", findings)
        codes = tuple(DenyCode(**code) for code in document["deny_codes"])
        return cls(document["name"], document["version"], document["entrypoint"], codes, document)

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "Manifest":
        """The manifest of a bundle: `manifest.json`, `.manifest`, or both where they agree.

        Raises ManifestError.
        """
        if FILE in files:
            manifest = cls.from_bytes(files[FILE])
            if OPA_FILE in files:
                _require_agreement(manifest, files[OPA_FILE])
            return manifest
        if OPA_FILE in files:
            return cls.from_bytes(files[OPA_FILE], OPA_FILE)
        what = "a bundle needs a manifest.json with name, version, entrypoint and deny_codes"
        raise ManifestError("the bundle has no manifest", [Finding("manifest", what)])


def unfit_code(code: Any) -> str:
    """Why a bundle cannot declare this deny code; "" where it can."""
    if not (isinstance(code, str) and _CODE.fullmatch(code)):
        return "code must be 3 to 64 of A-Z, 0-9 and '_', a letter first"
    if code in RESERVED_CODES:
        return f"{code} is the engine's own; choose another"
    return ""


def _document(data: bytes, file: str) -> tuple[Document, list[Finding]]:
    """The fields, those of `metadata.scopebound` among them, and which of them stand twice."""
    try:
        document = strict_json.loads(data)
    except InputError as error:
        finding = Finding("manifest", str(error), file=file)
        raise ManifestError("the manifest is not JSON", [finding]) from error
    if not isinstance(document, dict):
        what = f"it is {strict_json.type_name(document)}, not an object"
        raise ManifestError("the manifest is wrong", [Finding("manifest", what, file=file)])
    metadata = document.get("metadata")
    own = metadata.get("scopebound", {}) if isinstance(metadata, dict) else {}
    if not isinstance(own, dict):
        what = f"metadata.scopebound is {strict_json.type_name(own)}, not an object"
        return document, [Finding("manifest", what, file=file)]
    twice = [
        Finding("manifest", f"{field} stands here and under metadata.scopebound", file=file)
        for field in sorted(own.keys() & document.keys())
    ]
    return own | document, twice


def _require_agreement(manifest: Manifest, data: bytes) -> None:
    document, findings = _document(data, OPA_FILE)
    findings += _findings(document, OPA_FILE, required=())
    # Metadata is for people, but for the fields under `scopebound`, which are compared one by one.
    for field in sorted(document.keys() & manifest.raw.keys() - {"metadata"}):
        # As text, since Python takes true for 1.
        if strict_json.dumps(document[field]) != strict_json.dumps(manifest.raw[field]):
            what = f"{strict_json.quote(field)} is not what {FILE} says"
            findings.append(Finding("manifest", what, file=OPA_FILE, remedy="leave it out of one"))
    if findings:
        raise ManifestError("the bundle's two manifests do not agree", findings)


def _findings(document: Document, file: str, required: tuple[str, ...]) -> list[Finding]:
    missing = [f"{field} is missing" for field in required if field not in document]
    unknown = [
        f"{strict_json.quote(field[:64])} is not a field of a manifest; known are "
        f"{', '.join(_CHECKS)}"
        for field in document
        if field not in _CHECKS
    ]
    unfit = [
        sentence
        for field, check in _CHECKS.items()
        if field in document
        for sentence in check(document[field])
    ]
    return [Finding("manifest", what, file=file) for what in (*missing, *unknown, *unfit)]


def _check_name(value: Any) -> Iterator[str]:
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
        yield "name must be 1 to 64 of a-z, 0-9, '_', '.' and '-', a letter or digit first"


def _check_version(value: Any) -> Iterator[str]:
    try:
        Version.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        yield f"version is {error}; write it like 1.4.0 or 2.0.0-rc.1"


def _check_entrypoint(value: Any) -> Iterator[str]:
    if not (isinstance(value, str) and _ENTRYPOINT.fullmatch(value)):
        yield "entrypoint must be the path of a rule, like scopebound/decision"


def _check_deny_codes(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield 'deny_codes must be a list of {"code", "severity", "description"}, not empty'
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        place = f"deny_codes[{index}]"
        if not isinstance(item, dict) or item.keys() != {"code", "severity", "description"}:
            yield f"{place} must have exactly the fields code, severity and description"
            continue
        yield from _check_deny_code(item, place)
        if str(item["code"]) in seen:
            yield f"{place}: the code is declared twice"
        seen.add(str(item["code"]))


def _check_deny_code(item: Document, place: str) -> Iterator[str]:
    code, severity, description = item["code"], item["severity"], item["description"]
    if problem := unfit_code(code):
        yield f"{place}: {problem}"
    expected = REFERENCE_SEVERITIES.get(code) if isinstance(code, str) else None
    if severity not in SEVERITIES:
        yield f"{place}: severity must be one of {', '.join(SEVERITIES)}"
    elif expected is not None and severity != expected:
        yield f"{place}: the severity of {code} is {expected}, as in the API reference"
    if not (isinstance(description, str) and 0 < len(description) <= _LONGEST_DESCRIPTION):
        yield f"{place}: description must be a text of 1 to {_LONGEST_DESCRIPTION} characters"


def _check_rego_versions(value: Any) -> Iterator[str]:
    versions = value.values() if isinstance(value, dict) else [value]
    if any(type(version) is not int or version != 1 for version in versions):
        yield "only Rego version 1 is evaluated here; set rego_version to 1"


def _check_roots(value: Any) -> Iterator[str]:
    if value is not None and not (
        isinstance(value, list) and all(isinstance(root, str) for root in value)
    ):
        yield "roots must be a list of strings"


def _check_wasm(value: Any) -> Iterator[str]:
    if value not in (None, []):
        yield "wasm names WebAssembly modules, which are not evaluated here; build without them"


def _be(kind: type, name: str) -> _Check:
    def check(value: Any) -> Iterator[str]:
        if type(value) is not kind:
            yield f"{name} is {strict_json.type_name(value)}, not {strict_json.type_names[kind]}"

    return check


# The first six are this project's, the others OPA's: "Bundle File Format" in
# https://www.openpolicyagent.org/docs/management-bundles
_CHECKS: Final[Mapping[str, _Check]] = {
    "name": _check_name,
    "version": _check_version,
    "entrypoint": _check_entrypoint,
    "deny_codes": _check_deny_codes,
    "thresholds": thresholds.problems,
    "matchers": matcher_specs.wrong,
    "revision": _be(str, "revision"),
    "roots": _check_roots,
    "rego_version": _check_rego_versions,
    "file_rego_versions": _check_rego_versions,
    "metadata": _be(dict, "metadata"),
    "wasm": _check_wasm,
}
