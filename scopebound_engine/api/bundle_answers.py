"""Bundles, what became of them and what happened to them, as JSON documents."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from scopebound_engine.api.problems import finding_answer
from scopebound_engine.bundle.activation import Convergence
from scopebound_engine.bundle.diff import Diff
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.lifecycle import Outcome, Trial
from scopebound_engine.bundle.registry.registry import BundleVersion, Event
from scopebound_engine.errors import Finding
from scopebound_engine.times import timestamp

Document = dict[str, Any]


def version(of: BundleVersion) -> Document:
    """A version in the reference's fields and, after them, those beyond it."""
    return {
        "id": of.id,
        "version": of.version,
        "checksum": of.checksum,
        "bundle_path": of.bundle_path,
        "is_active": of.is_active,
        "uploaded_at": timestamp(of.uploaded_at),
        "activated_at": timestamp(of.activated_at) if of.activated_at else None,
        "description": of.description,
        "name": of.name,
        "identity": of.identity,
        "key_id": of.key_id,
        "uploaded_by": of.uploaded_by,
        "generation": of.generation,
    }


def details(of: BundleVersion, files: Mapping[str, bytes], events: Iterable[Event]) -> Document:
    """A version and what it holds."""
    return {
        **version(of),
        "manifest": Manifest.of(files).raw,
        "files": [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
        "warnings": _findings(of.warnings),
        "events": [event(each) for each in events],
    }


def upload(outcome: Outcome) -> Document:
    """What became of an upload or an activation."""
    of = outcome.version
    return {
        "id": of.id,
        "version": of.version,
        "checksum": of.checksum,
        "is_active": of.is_active,
        "uploaded_at": timestamp(of.uploaded_at),
        "description": of.description,
        "unchanged": outcome.unchanged,
        "generation": of.generation,
        "warnings": _findings(outcome.warnings),
        **_convergence(outcome.convergence),
    }


def trial(tried: Trial) -> Document:
    """What an upload would do."""
    return {
        "dry_run": True,
        "outcome": tried.outcome,
        "version": tried.bundle.manifest.version,
        "checksum": tried.bundle.checksum,
        "identity": tried.bundle.identity,
        "key_id": tried.bundle.key_id,
        "warnings": _findings(tried.warnings),
    }


def rollback(outcome: Outcome) -> Document:
    """What became of a rollback."""
    of = outcome.version
    return {
        "message": "rollback successful",
        "version_id": of.id,
        "version": of.version,
        "checksum": of.checksum,
        "generation": of.generation,
        "unchanged": outcome.unchanged,
        **_convergence(outcome.convergence),
    }


def event(of: Event) -> Document:
    """One thing that happened, or was refused."""
    return {
        "id": of.id,
        "at": timestamp(of.at),
        "kind": of.kind,
        "actor": of.actor,
        "api_key_id": of.api_key_id,
        "key_id": of.key_id,
        "bundle_id": of.bundle_id,
        "from_bundle_id": of.from_bundle_id,
        "from_generation": of.from_generation,
        "generation": of.generation,
        "version": of.version,
        "checksum": of.checksum,
        "reason": of.reason,
        "findings": _findings(of.findings),
    }


def diff(old: BundleVersion, new: BundleVersion, changes: Diff) -> Document:
    """What changes from one version to the other."""
    return {"old": _name(old), "new": _name(new), **changes.as_dict()}


def _name(of: BundleVersion) -> Document:
    return {"id": of.id, "version": of.version, "checksum": of.checksum}


def _convergence(of: Convergence | None) -> Document:
    """Which workers run it; nothing where it was not to be put in force."""
    if of is None:
        return {}
    laggards = [
        {
            "node_id": report.node_id,
            "pid": report.pid,
            "generation": report.generation,
            "silent_seconds": round(report.silent_seconds, 1),
            "error": report.error,
        }
        for report in of.laggards
    ]
    workers = {"expected": of.expected, "running": of.running, "laggards": laggards}
    return {"converged": of.converged, "workers": workers}


def _findings(of: Iterable[Finding]) -> list[Document]:
    return [finding_answer(finding) for finding in of]
