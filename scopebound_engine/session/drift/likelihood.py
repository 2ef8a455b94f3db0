"""The baseline that past sessions of a role fit best."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scopebound_engine.session.drift.evidence import Baseline, folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The bundle has its own bound (drift.min_baseline_sessions); with fewer there is nothing to fit.
MIN_SESSIONS: Final = 20
# Below the least every session is a world of its own; beyond the most all are drawn alike.
_LEAST_CONCENTRATION: Final = 0.1
_MOST_CONCENTRATION: Final = 1e5


def fit(tools: Sequence[str], sessions: Sequence[Mapping[str, int]]) -> Baseline | None:
    """The baseline of sessions, each given by its calls by tool; None where they are too few.

    A tool that no session used gets the weight of one call for each session: its first uses are no
    surprise. So do all tools outside of `tools` together, for the role may be given one of them.
    The concentration is that of maximum likelihood, found with SciPy.
    """
    used = [session for session in sessions if any(session.values())]
    if len(used) < MIN_SESSIONS:
        return None
    # Loading SciPy takes longer than any fit, and most processes never fit.
    import numpy as np

    table = np.array([folded(tools, session) for session in used], dtype=float)
    totals = table.sum(axis=0)
    weights = np.where(totals > 0, totals, len(used))
    frequencies = weights / weights.sum()
    return Baseline(
        tools=tuple(tools),
        frequencies=tuple(map(float, frequencies)),
        concentration=_concentration(table, frequencies),
        sessions=len(used),
        calls=int(totals.sum()),
    )


def _concentration(table: "NDArray[Any]", frequencies: "NDArray[Any]") -> float:
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    calls = table.sum(axis=1)

    def surprise(log_concentration: float) -> float:
        """The negative log likelihood of all sessions."""
        total = np.exp(log_concentration)
        weights = total * frequencies
        cells = gammaln(weights + table) - gammaln(weights)
        return -float((gammaln(total) - gammaln(total + calls) + cells.sum(axis=1)).sum())

    bounds = (np.log(_LEAST_CONCENTRATION), np.log(_MOST_CONCENTRATION))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))
