"""What decides: the policies of a folder, of an archive, or of the bundle that a record names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scopebound_engine.author.folder import Sources
from scopebound_engine.bundle.format import archive, content
from scopebound_engine.bundle.format.manifest import Manifest
from scopebound_engine.bundle.matchers import Matchers
from scopebound_engine.bundle.signature import VerifiedBundle
from scopebound_engine.decision.active import program_of
from scopebound_engine.errors import ConfigError
from scopebound_engine.rego.pool.evaluators import EvaluatorPool
from scopebound_engine.rego.program import Program

# Nobody waits for the answer: a busy machine is to make no difference.
_EVALUATION_SECONDS: Final = 10.0
_START_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Subject:
    """Policies with what their manifest says. `name` is how they are spoken of."""

    name: str
    program: Program
    manifest: Manifest

    def matchers(self) -> Matchers:
        """Those that the manifest declares. Raises BundleError."""
        return Matchers.of(self.manifest)

    def evaluators(self) -> EvaluatorPool:
        """The evaluator path of a server, with one evaluator; to be closed.

        Raises CompileError, EngineError.
        """
        pool = EvaluatorPool(
            self.program,
            size=1,
            evaluation_seconds=_EVALUATION_SECONDS,
            codes={code.code: code.severity for code in self.manifest.deny_codes},
        )
        try:
            pool.start(_START_SECONDS)
        except BaseException:
            pool.close()
            raise
        return pool


def of_folder(sources: Sources, entrypoint: str = "") -> Subject:
    """A folder's, with another entrypoint than its manifest's where one is named.

    Raises FindingsError for what cannot be read.
    """
    manifest = sources.sound().require_manifest()
    return _made(str(sources.folder), sources.rules, sources.data, manifest, entrypoint)


def of_archive(file: Path, entrypoint: str = "") -> Subject:
    """A bundle's, signed or not: to decide by it here is not to put it in force.

    Raises ConfigError where it cannot be read, BundleError for what is no bundle.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    files = archive.read(data)
    content.check(files)
    modules = content.modules(files, tests=False)
    return _made(str(file), modules, content.data(files), Manifest.of(files), entrypoint)


def of_bundle(bundle: VerifiedBundle) -> Subject:
    """That of a verified bundle."""
    name = f"{bundle.manifest.name} {bundle.manifest.version}"
    return Subject(name, program_of(bundle), bundle.manifest)


def _made(
    name: str,
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    manifest: Manifest,
    entrypoint: str,
) -> Subject:
    program = Program(tuple(modules.items()), data, entrypoint or manifest.entrypoint)
    return Subject(name, program, manifest)
