"""POST /mgmt/v1/bundles/{id}/backtest: what a version would have changed in recorded decisions."""

from dataclasses import dataclass
from typing import Final

import falcon

from scopebound_engine.access.model import BUNDLES
from scopebound_engine.api import audit_trail, queries
from scopebound_engine.api.answers import answer_json
from scopebound_engine.api.auth import require
from scopebound_engine.api.bundles import uuid_of
from scopebound_engine.author.backtesting.server import MOST_HOURS, WINDOW_HOURS, Backtests
from scopebound_engine.bundle.lifecycle import Bundles

BACKTESTED: Final = "bundle.backtested"


@dataclass(frozen=True, slots=True)
class BundleBacktest:
    """Decides recorded decisions again; one at a time on a node."""

    bundles: Bundles
    backtests: Backtests

    def on_post(self, req: falcon.Request, resp: falcon.Response, bundle_id: str) -> None:
        """What the version would have changed in the decisions of the last hours.

        They are decided again, newest first and at most SCOPEBOUND_BACKTEST_RECORDS records, by a
        process of its own, of less priority. Its `digest` acknowledges an upload.
        """
        require(req, BUNDLES)
        queries.only(req, {"window_hours"})
        hours = queries.number(req, "window_hours", WINDOW_HOURS, MOST_HOURS)
        version, data = self.bundles.load(uuid_of(bundle_id))
        report = self.backtests.report(data, hours)
        audit_trail.of(req).record(
            req,
            BACKTESTED,
            audit_trail.subject("bundle", version.id),
            {
                "version": version.version,
                "window_hours": hours,
                "digest": report["digest"],
                "decided": report["decided"],
                **report["kinds"],
            },
        )
        answer_json(resp, report)
