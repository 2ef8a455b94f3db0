"""`bundle`: policy bundles, from making keys to rolling back on a server."""

import click

from scopebound_engine.cli import (
    bundle_check,
    bundle_diff,
    bundle_make,
    bundle_push,
    bundle_versions,
)
from scopebound_engine.cli.ending import EXIT_CODES, EndingGroup


class _InOrder(EndingGroup):
    """Lists its commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(self.commands)


@click.group(cls=_InOrder, epilog=EXIT_CODES)
def bundle() -> None:
    """Policy bundles: make keys, build, sign, check; push to a server, compare, roll back.

    The commands that talk to a server find it at --url or SCOPEBOUND_BASE_URL, or where `serve`
    would listen, and its key at --api-key or SCOPEBOUND_API_KEY, or in the data folder.
    """


for command in (
    bundle_make.keygen,
    bundle_make.build,
    bundle_make.sign,
    bundle_make.stage,
    bundle_check.verify,
    bundle_check.inspect,
    bundle_push.push,
    bundle_diff.diff,
    bundle_versions.list_,
    bundle_versions.show,
    bundle_versions.activate,
    bundle_versions.rollback,
    bundle_versions.delete,
    bundle_versions.download_,
    bundle_versions.events,
):
    bundle.add_command(command)
