"""A deny code made from nothing: its rule, tests and cases, and its entry in the manifest.

The files go where the folder has its deny rules: one file a code, named as the code, its tests and
cases beside it.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from scopebound_engine import whole_file
from scopebound_engine.author import folder
from scopebound_engine.author.folder import Sources
from scopebound_engine.author.making import templates
from scopebound_engine.author.making.manifest import with_deny_code
from scopebound_engine.bundle.format.build import CASES
from scopebound_engine.bundle.format.content import MODULE, TEST
from scopebound_engine.bundle.format.manifest import FILE, unfit_code
from scopebound_engine.errors import ConfigError, ConflictError
from scopebound_engine.rego.source.syntax import Module
from scopebound_engine.rego.source.tokens import Source

_MODE: Final = 0o644
# The set that deny rules add to, whatever their package.
_RULE: Final = "violation"


@dataclass(frozen=True, slots=True)
class NewDeny:
    """What was written for a code."""

    code: str
    severity: str
    rule: Path
    tests: Path
    cases: Path
    manifest: Path


def deny(policies: Path, code: str, severity: str, manifest_file: Path | None = None) -> NewDeny:
    """Write a deny code's files and declare it, all or nothing.

    Raises ConfigError where the code is unfit or the folder has no deny rule to go by,
    ConflictError where something of it is there already, FindingsError where the folder is not in
    order.
    """
    if problem := unfit_code(code):
        raise ConfigError(f"{code!r} cannot be a deny code: {problem}.")
    sources = folder.read(policies, manifest_file).sound()
    declared = {item.code for item in sources.require_manifest().deny_codes}
    if code in declared:
        raise ConflictError(f"{code} is declared in the manifest already.")
    package, place = _home(sources)
    _refuse_names(sources, package, code)
    home = policies / place / code.lower()
    made = NewDeny(
        code,
        severity,
        rule=home.with_name(f"{home.name}{MODULE}"),
        tests=home.with_name(f"{home.name}{TEST}"),
        cases=home.with_name(f"{home.name}{CASES}"),
        manifest=sources.paths[FILE],
    )
    texts = {
        made.rule: templates.DENY,
        made.tests: templates.DENY_TEST,
        made.cases: templates.DENY_CASES,
    }
    fill = partial(templates.filled, code=code, severity=severity, package=package)
    entry = {"code": code, "severity": severity, "description": _description(code)}
    _write(
        {path: fill(template).encode() for path, template in texts.items()},
        made.manifest,
        with_deny_code(sources.files[FILE], entry, str(made.manifest)),
    )
    return made


def _home(sources: Sources) -> tuple[str, PurePosixPath]:
    """The package of most deny rules, dotted, and the folder that holds them."""
    homes: Counter[tuple[str, PurePosixPath]] = Counter()
    for path, text in sources.rules.items():
        module = Module(Source(path, text))
        if any(head.name == _RULE for head in module.heads):
            homes[".".join(module.source.package), PurePosixPath(path).parent] += 1
    if not homes:
        raise ConfigError(
            f"{sources.folder} has no rule `{_RULE} contains …` whose package could be added to; "
            "write the first one by hand."
        )
    return homes.most_common(1)[0][0]


def _refuse_names(sources: Sources, package: str, code: str) -> None:
    """Two files of a package share their rules: helpers of one name would be one rule."""
    taken = {f"{code.lower()}_allowed", f"{code.lower()}_reason"}
    for path, text in sources.rules.items():
        module = Module(Source(path, text))
        names = taken & {head.name for head in module.heads}
        if names and ".".join(module.source.package) == package:
            raise ConflictError(
                f"{path} has a rule named {min(names)} already; choose another code."
            )


def _description(code: str) -> str:
    return f"{code.replace('_', ' ').capitalize()}: an example, to be edited"


def _write(files: dict[Path, bytes], manifest: Path, declared: bytes) -> None:
    """Write new files and then the manifest; where one cannot be written, none stays."""
    for path in files:
        if path.exists():
            raise ConflictError(f"{path} is there already and is not overwritten.")
    try:
        for path, data in files.items():
            whole_file.write(path, data, mode=_MODE)
        whole_file.write(manifest, declared, mode=manifest.stat().st_mode & 0o7777)
    except OSError as error:
        for path in files:
            with suppress(OSError):
                path.unlink()
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}.") from error
