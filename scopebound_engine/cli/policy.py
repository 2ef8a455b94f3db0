"""`policy`: what authors of policies run. Each command is a file of its own."""

import os
from typing import Final

import click

from scopebound_engine.cli.ending import FAILED, EndingGroup
from scopebound_engine.cli.lazy import LazyGroup

# In the order in which an author comes to need them.
_COMMANDS: Final = {
    "new": "scopebound_engine.cli.policy_new:new",
    "check": "scopebound_engine.cli.policy_check:check",
    "test": "scopebound_engine.cli.policy_test:test",
    "cover": "scopebound_engine.cli.policy_cover:cover",
    "mutate": "scopebound_engine.cli.policy_mutate:mutate",
    "eval": "scopebound_engine.cli.policy_eval:evaluate",
    "explain": "scopebound_engine.cli.policy_explain:explain",
    "fmt": "scopebound_engine.cli.policy_fmt:fmt",
    "watch": "scopebound_engine.cli.policy_watch:watch",
    "schema": "scopebound_engine.cli.policy_schema:schema",
    "diff": "scopebound_engine.cli.policy_diff:diff",
    "bench": "scopebound_engine.cli.policy_bench:bench",
    "backtest": "scopebound_engine.cli.policy_backtest:backtest",
}
_EXIT_CODES: Final = """\b
Exit codes of every command:
  0  fine
  1  something was found: a finding, a failed test, a value below its threshold
  2  the command could not do its work: wrong usage, or policies that cannot be read or run
"""


class _Workbench(LazyGroup, EndingGroup):
    """What ends a command here is never a finding: those are its result."""

    refused = FAILED
    interrupted = "nothing was changed"


@click.group(cls=_Workbench, commands_at=_COMMANDS, epilog=_EXIT_CODES)
@click.pass_context
def policy(ctx: click.Context) -> None:
    """The policy author's workbench: check, test, and understand a folder of policies.

    FOLDER holds .rego files at the paths of their packages, tests (*_test.rego) beside the rules,
    and data.json; manifest.json lies in it or beside it.
    """
    # https://no-color.org
    if os.environ.get("NO_COLOR"):
        ctx.color = False
