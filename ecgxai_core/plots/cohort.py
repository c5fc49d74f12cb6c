"""Mean maps of cohorts by wave and lead, side by side, with the cells in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ecgxai_core.plots.pdf import drawing, figure_svg
from ecgxai_core.plots.theme import DIVERGING, LIGHT
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["cohort_svg"]


def cohort_svg(
    panels: Mapping[str, FloatArray],
    waves: Sequence[str],
    leads: Sequence[str],
    marked: Mapping[str, BoolArray] = {},
) -> bytes:
    """One heat map per title, ``float64[wave, lead]`` of signed shares, on one colour scale.

    ``marked`` are cells that get a frame, by title.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    colours = LinearSegmentedColormap.from_list("signed", DIVERGING)
    top = max((float(np.abs(values).max()) for values in panels.values()), default=0.0) or 1.0
    with drawing():
        size = (9.0, 0.5 + 2.3 * len(panels))
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for place, (title, values) in zip(axes, panels.items(), strict=True):
            drawn = place.imshow(values, cmap=colours, vmin=-top, vmax=top, aspect="auto")
            place.set_xticks(range(len(leads)), leads, fontsize=8)
            place.set_yticks(range(len(waves)), waves, fontsize=8)
            place.tick_params(length=0)
            place.set_title(title, fontsize=9, loc="left", parse_math=False, color=LIGHT.text)
            for row, column in np.ndindex(values.shape):
                strong = abs(values[row, column]) > 0.6 * top
                place.text(
                    column, row, f"{100 * values[row, column]:.1f}", ha="center", va="center",
                    fontsize=6.5, color="white" if strong else LIGHT.text,
                )  # fmt: skip
            for row, column in np.argwhere(marked.get(title, np.zeros(values.shape, bool))):
                corner = (column - 0.47, row - 0.45)
                place.add_patch(
                    Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=LIGHT.text, linewidth=1.4)
                )
        figure.colorbar(drawn, ax=axes, shrink=0.6, pad=0.01).set_label("share", fontsize=8)
        return figure_svg(figure)
