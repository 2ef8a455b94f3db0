"""What the files of a bundle mean: its modules, and the one document that its data.json make."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from scopebound_engine import strict_json
from scopebound_engine.bundle.format.archive import DATA
from scopebound_engine.errors import BundleError, Finding, InputError

MODULE: Final = ".rego"
TEST: Final = "_test.rego"
_ONCE: Final = "keep it in one of the two"


def check(files: Mapping[str, bytes]) -> None:
    """Raise BundleError where `modules` or `data` would not succeed, with a finding for each."""
    findings: list[Finding] = []
    for name, content in files.items():
        if name.endswith(MODULE):
            findings += _not_utf8(name, content)
    _merge_all(files, findings)
    if findings:
        raise BundleError("the bundle's files do not fit together", findings)


def modules(files: Mapping[str, bytes], *, tests: bool) -> dict[str, str]:
    """Rego source by file name, `*_test.rego` only with `tests`. The files passed `check`."""
    return {
        name: content.decode()
        for name, content in files.items()
        if name.endswith(MODULE) and (tests or not name.endswith(TEST))
    }


def data(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The document `data`: each data.json under its folder, merged. The files passed `check`."""
    return _merge_all(files, [])


def _not_utf8(name: str, content: bytes) -> list[Finding]:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return [Finding("content", "not UTF-8", name, line, column, "save the file as UTF-8")]
    return []


def _merge_all(files: Mapping[str, bytes], findings: list[Finding]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name in sorted(files):
        if PurePosixPath(name).name != DATA:
            continue
        try:
            value = strict_json.loads(files[name])
        except InputError as error:
            remedy = "correct the JSON there"
            findings.append(Finding("content", str(error), file=name, remedy=remedy))
            continue
        folders = PurePosixPath(name).parent.parts
        for folder in reversed(folders):
            value = {folder: value}
        if isinstance(value, dict):
            conflicts: list[str] = []
            _merge(root, value, ("data",), conflicts)
            findings += [
                Finding("content", f"{path} is in another data.json too", file=name, remedy=_ONCE)
                for path in conflicts
            ]
        else:
            what = f"at the root it must be an object, not {strict_json.type_name(value)}"
            remedy = 'write {"name": …}'
            findings.append(Finding("content", what, file=name, remedy=remedy))
    return root


def _merge(
    into: dict[str, Any], value: dict[str, Any], path: tuple[str, ...], conflicts: list[str]
) -> None:
    for key, item in value.items():
        here = (*path, key)
        if key not in into:
            into[key] = item
        elif isinstance(into[key], dict) and isinstance(item, dict):
            _merge(into[key], item, here, conflicts)
        else:
            conflicts.append(".".join(here))
