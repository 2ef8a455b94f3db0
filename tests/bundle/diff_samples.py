"""The diff of two bundles that differ in one file."""

from scopebound_engine.bundle.diff import Diff, compare
from tests.bundle.bundle_samples import files

MAIN = "scopebound/main.rego"
DATA = "scopebound/config/data.json"


def diff(old: bytes, new: bytes, name: str = MAIN) -> Diff:
    return compare(files(**{name: old}), files(**{name: new}))
