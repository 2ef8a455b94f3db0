"""The plot of `drift plot`: evidence against calls in the simulated worlds. Needs matplotlib."""

from collections.abc import Callable, Sequence
from math import isinf
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scopebound_engine.errors import ConfigError
from scopebound_engine.session.drift.course import SHIPPED
from scopebound_engine.session.drift.simulation import Calls, World

_CALLS: Final = 100
_USUAL_SESSIONS: Final = 40
_LOWEST, _HIGHEST = -20, 45
# Without this, and a salt for its ids, an SVG of the same numbers would differ from run to run.
_UNDATED: Final = {"svg": {"Date": None}, "png": {"Software": None}}


def draw(worlds: Sequence[World], file: Path) -> None:
    """Write a panel for each world, as SVG or PNG by the file's name. Raises ConfigError."""
    with matplotlib.rc_context({"svg.hashsalt": "scopebound-engine"}):
        figure = Figure(figsize=(12, 4.2), layout="constrained")
        panels = figure.subplots(1, len(worlds), sharey=True, squeeze=False)[0]
        for panel, world in zip(panels, worlds, strict=True):
            _draw_world(panel, world)
        panels[0].set_ylabel("log evidence against the baseline")
        figure.legend(*panels[0].get_legend_handles_labels(), ncols=5, loc="outside lower center")
        kind = file.suffix[1:]
        try:
            figure.savefig(file, format=kind, dpi=150, metadata=_UNDATED[kind])
        except OSError as error:
            raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error


def _draw_world(panel: Axes, world: World) -> None:
    kinds: tuple[tuple[str, str, Callable[[int], Calls], int], ...] = (
        ("sessions of the baseline", "0.65", world.usual, _USUAL_SESSIONS),
        ("rare tools only", "tab:red", world.rare, 1),
        ("all tools alike", "tab:blue", world.flat, 1),
    )
    for label, color, session, count in kinds:
        width = 2.0 if count == 1 else 0.7
        for number in range(count):
            evidence = [0.0, *world.evidence(session(_CALLS))]
            panel.plot(evidence, color=color, linewidth=width, label="" if number else label)
    panel.axhline(
        SHIPPED.log_evidence, color="black", linestyle="--", label=f"ln(1/{SHIPPED.alpha}): denied"
    )
    panel.axvline(
        SHIPPED.min_calls, color="black", linestyle=":", label=f"from call {SHIPPED.min_calls} on"
    )
    shown = "∞" if isinf(world.concentration) else f"{world.concentration:g}"
    panel.set_title(f"concentration {shown} (fitted {world.baseline.concentration:.1f})")
    panel.set(xlabel="calls", xlim=(0, _CALLS), ylim=(_LOWEST, _HIGHEST))
