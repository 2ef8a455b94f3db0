"""A pool of connections whose waits end with the call that waits."""

from sqlalchemy.pool import QueuePool

from scopebound_engine import budget


class CallPool(QueuePool):
    """SQLAlchemy's own, which reads how long a free connection is waited for from `_timeout`."""

    _longest: float = 0.0

    @property
    def _timeout(self) -> float:
        return budget.left(self._longest)

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest = seconds
