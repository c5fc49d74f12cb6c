"""Which measured features a model uses: both tests side by side, one row per feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgxai_core.plots.pdf import drawing, figure_svg
from ecgxai_core.plots.theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ConceptLine", "concepts_svg"]

_COLOURS = {"used": LIGHT.in_favour, "not used": LIGHT.muted, "cannot tell": LIGHT.accent}
_OUTPUT, _MAP = -0.13, 0.17  # rows of the two correlations of one feature


@dataclass(frozen=True, slots=True)
class ConceptLine:
    """One row: ``(value, low, high)`` of the output's and the map's correlation with the feature,
    and of the change of the logit over what counts as one; NaN where undefined."""

    title: str
    verdict: str
    output: tuple[float, float, float]
    weight: tuple[float, float, float]
    move: tuple[float, float, float]


def concepts_svg(lines: Sequence[ConceptLine], title: str) -> bytes:
    """Correlations over records at the left, changes on the record at the right, the verdict last.

    The grey band at the right is what does not count as a change.
    """
    from matplotlib.figure import Figure

    with drawing():
        figure = Figure(figsize=(9.4, 1.5 + 0.42 * len(lines)), facecolor="white",
                        layout="constrained")  # fmt: skip
        over, alone = figure.subplots(1, 2, sharey=True)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left", parse_math=False, color=LIGHT.text)
        for row, line in enumerate(lines):
            colour = _COLOURS.get(line.verdict, LIGHT.text)
            _line(over, row + _OUTPUT, line.output, colour, "o")
            _line(over, row + _MAP, line.weight, LIGHT.muted, "D", hollow=True)
            _line(alone, row, line.move, colour, "o")
            alone.text(
                1.02, row, line.verdict, transform=alone.get_yaxis_transform(), va="center",
                fontsize=9, color=colour, weight="bold" if line.verdict == "used" else "normal",
            )  # fmt: skip
        over.set_yticks(range(len(lines)), [line.title for line in lines], fontsize=9)
        over.set(xlim=(-1, 1), ylim=(len(lines) - 0.5, -0.5))
        over.set_xlabel("over records: partial rank correlation with the output (dot)\n"
                        "and with the map's weight in its waves (diamond)", fontsize=8)  # fmt: skip
        alone.set_xlabel("on each record: change of the output when it alone is\n"
                         "changed, in multiples of the least that counts", fontsize=8)  # fmt: skip
        alone.axvspan(-1, 1, color=LIGHT.overlay_grid_small, zorder=0)
        for axes in (over, alone):
            axes.axvline(0, color=LIGHT.muted, linewidth=0.8, zorder=1)
            axes.tick_params(labelsize=8, length=0)
            axes.grid(axis="y", color=LIGHT.overlay_grid_small, linewidth=0.8)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
        return figure_svg(figure)


def _line(
    axes: Axes, row: float, value: tuple[float, float, float], colour: str, marker: str,
    hollow: bool = False,
) -> None:  # fmt: skip
    """A value with its interval, where there is one."""
    middle, low, high = value
    if np.isfinite([low, high]).all():
        axes.plot([low, high], [row, row], color=colour, linewidth=1.4, solid_capstyle="butt")
    if np.isfinite(middle):
        face = "white" if hollow else colour
        axes.plot([middle], [row], marker, color=colour, markerfacecolor=face,
                  markersize=4 if hollow else 5.5)  # fmt: skip
