"""What decides: the policies of a folder, of an archive, or of the bundle that a record names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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


def of_folder(sources: Sources) -> Subject:
    """A folder's. Raises FindingsError for what cannot be read, ManifestError."""
    manifest = sources.sound().require_manifest()
    return Subject(str(sources.folder), program_in(sources, manifest.entrypoint), manifest)


def program_in(sources: Sources, entrypoint: str) -> Program:
    """A folder's rules and data, with or without a manifest. Raises FindingsError."""
    rules = tuple(sources.sound().rules.items())
    return Program(rules, sources.data, entrypoint)


def of_archive(file: Path) -> Subject:
    """A bundle's, signed or not: to decide by it here is not to put it in force.

    Raises ConfigError where it cannot be read, BundleError for what is no bundle.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    return of_files(str(file), archive.read(data))


def of_files(name: str, files: Mapping[str, bytes]) -> Subject:
    """That of a bundle's files. Raises BundleError where they do not make a policy."""
    content.check(files)
    manifest = Manifest.of(files)
    rules = tuple(content.modules(files, tests=False).items())
    return Subject(name, Program(rules, content.data(files), manifest.entrypoint), manifest)


def of_bundle(bundle: VerifiedBundle) -> Subject:
    """That of a verified bundle."""
    name = f"{bundle.manifest.name} {bundle.manifest.version}"
    return Subject(name, program_of(bundle), bundle.manifest)
