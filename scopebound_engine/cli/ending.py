"""How a command on bundles ends: its exit code, and what it says when it fails."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from scopebound_engine.cli.remote import RefusedError
from scopebound_engine.cli.terminal import json_document, printable
from scopebound_engine.errors import BundleError, Finding, FindingsError, ScopeboundError

REFUSED: Final = 1
FAILED: Final = 2
LAGGING: Final = 3

EXIT_CODES: Final = """\b
Exit codes:
  0  done
  1  refused: every finding is told, and nothing was changed
  2  not done: wrong usage, no such thing, or no server that could do it
  3  done, but not every worker of the servers runs it yet
"""

# 409, 413 and 422 are about what was sent; all else is about who sent it, or about the server.
_REFUSALS: Final = frozenset({409, 413, 422})
_JSON: Final = f"{__name__}.json"


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[_JSON] = value
    return value


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_remember, help="Write JSON, what is refused too."
)


class EndingGroup(click.Group):
    """Turns what is known to go wrong in a command into sentences and an exit code."""

    # How a command ends that is refused.
    refused = REFUSED
    # What to say after "interrupted".
    interrupted = "`bundle list` tells what a server did"

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ScopeboundError as error:
            refused = _told(error, as_json=ctx.meta.get(_JSON, False))
            ctx.exit(self.refused if refused else FAILED)
        except KeyboardInterrupt:
            # click's own exit code for it would say that nothing was changed.
            click.echo(f"\nscopebound-engine: interrupted; {self.interrupted}", err=True)
            ctx.exit(FAILED)


def warn(findings: Sequence[Finding]) -> None:
    """Write findings on standard error, a line for each."""
    for finding in findings:
        level = "warning: " if finding.level == "warning" else ""
        click.echo(printable(f"{level}{finding}"), err=True)


def wants_json() -> bool:
    """Whether the command that is being run was asked for JSON."""
    return bool(click.get_current_context().meta.get(_JSON, False))


def found(summary: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Findings as they are written in JSON."""
    return {"detail": summary, "findings": [asdict(finding) for finding in findings]}


def _told(error: ScopeboundError, *, as_json: bool) -> bool:
    """Say what went wrong, and whether that is a refusal."""
    findings = error.findings if isinstance(error, FindingsError | RefusedError) else ()
    click.echo(printable(f"scopebound-engine: {_summary(error)}"), err=True)
    warn(findings)
    if as_json:
        problem = error.problem if isinstance(error, RefusedError) else None
        json_document(problem or found(_summary(error), findings))
    return isinstance(error, BundleError) or _is_refusal(error)


def _summary(error: ScopeboundError) -> str:
    if isinstance(error, FindingsError):
        return error.summary
    if isinstance(error, RefusedError) and _is_refusal(error):
        # The sentence of a problem is that of its first finding.
        return "the server refuses it" + ("" if error.findings else f": {error.detail}")
    return str(error)


def _is_refusal(error: ScopeboundError) -> bool:
    return isinstance(error, RefusedError) and error.status in _REFUSALS
