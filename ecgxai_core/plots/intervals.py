"""Means with confidence intervals and chance levels, as a static figure for reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ecgxai_core.plots.pdf import drawing, figure_svg
from ecgxai_core.plots.theme import LIGHT, method_colour

__all__ = ["Bar", "interval_svg"]

Bar = tuple[str, str, float, float, float, float]
"""Metric, map, mean, lower and upper bound of the interval, chance level."""


def interval_svg(bars: Sequence[Bar], title: str) -> tuple[bytes, str]:
    """One line per metric and map: mean (dot), interval (bar) and chance level (grey tick).

    Returns
    -------
    tuple[bytes, str]
        The SVG, and its content in words.
    """
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(method for _, method, *_ in bars))
    metrics = list(dict.fromkeys(metric for metric, *_ in bars))
    colours = {m: method_colour(i) for i, m in enumerate(methods)}
    with drawing():
        height = 0.9 + 0.22 * len(bars) + 0.12 * len(metrics)
        figure = Figure(figsize=(8.6, height), facecolor="white")
        axes = figure.add_axes((0.33, 0.55 / height, 0.64, 1 - 1.0 / height))
        y, ticks = 0.0, []
        for metric in metrics:
            first = y
            for _, method, mean, low, high, chance in (b for b in bars if b[0] == metric):
                colour = colours[method]
                if math.isfinite(mean):
                    if math.isfinite(low) and math.isfinite(high):
                        axes.plot([low, high], [y, y], color=colour, linewidth=2.2, alpha=0.55)
                    axes.plot([mean], [y], "o", color=colour, markersize=4.5)
                if math.isfinite(chance):
                    axes.plot([chance] * 2, [y - 0.42, y + 0.42], color=LIGHT.muted, linewidth=1.4)
                y += 1.0
            ticks.append(((first + y - 1) / 2, metric))
            axes.axhline(y - 0.25, color="#e3e6ea", linewidth=0.8)
            y += 0.5
        axes.set_ylim(y - 0.6, -0.7)
        axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8, colors=LIGHT.muted)
        axes.axvline(0, color="#c9ced4", linewidth=0.8, zorder=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.set_title(title, fontsize=10, loc="left", color=LIGHT.text, parse_math=False)
        for method, colour in colours.items():
            axes.plot([], [], "o-", color=colour, markersize=4.5, label=method)
        axes.plot([], [], color=LIGHT.muted, linewidth=1.4, label="random map")
        figure.legend(
            loc="lower left", ncols=len(methods) + 1, fontsize=8, frameon=False,
            bbox_to_anchor=(0.01, 0.0),
        )  # fmt: skip
        return figure_svg(figure), _words(bars, title)


def _words(bars: Sequence[Bar], title: str) -> str:
    said = [
        f"{metric}, {method}: {mean:.3f}, random map {chance:.3f}"
        for metric, method, mean, _, _, chance in bars
        if math.isfinite(mean) and math.isfinite(chance)
    ]
    return f"{title}. " + "; ".join(said)
