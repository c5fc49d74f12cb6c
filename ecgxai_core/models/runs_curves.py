"""Training curves of one run or several, ready to be drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.models.runs import METRICS, TrainingRun, same_but_seed

__all__ = ["Curve", "curves", "mean_curve", "save_curves"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008: told apart by people with any colour vision."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over epochs; ``spread`` is the sample deviation over seeds, or empty."""

    title: str
    metric: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    spread: tuple[float, ...] = ()


def curves(runs: Sequence[TrainingRun], metric: str) -> list[Curve]:
    """One curve a run; a missing value is NaN, so that lines break there."""
    found = []
    for run in runs:
        epochs = tuple(int(row["epoch"]) for row in run.history)
        values = (row.get(metric) for row in run.history)
        numbers = tuple(math.nan if value is None else float(value) for value in values)
        found.append(Curve(run.name, metric, epochs, numbers))
    return found


def mean_curve(runs: Sequence[TrainingRun], metric: str, title: str) -> Curve:
    """Mean and spread over the epochs that every run has."""
    each = curves(runs, metric)
    length = min((len(curve.values) for curve in each), default=0)
    table = np.array([curve.values[:length] for curve in each], np.float64).reshape(-1, length)
    spread = table.std(axis=0, ddof=1) if len(each) > 1 else np.zeros(length)
    epochs = each[0].epochs[:length] if each else ()
    return Curve(title, metric, epochs, tuple(table.mean(axis=0)), tuple(spread))


def save_curves(
    runs: Sequence[TrainingRun],
    path: Path,
    metrics: Sequence[str] = ("loss", "tune_loss", "auroc", "f1"),
    *,
    seeds_together: bool = False,
) -> Path:
    """Write the curves of runs as one self-contained HTML page; returns its path.

    With ``seeds_together`` runs that differ in their seed alone are one curve, the mean, in a band
    of one sample deviation.
    """
    known = [metric for metric in metrics if metric in METRICS]
    if seeds_together:
        groups = same_but_seed(runs)
        titled = [(f"{group[0].name} ({len(group)} seeds)", group) for group in groups]
        figure = _figure(
            [[mean_curve(g, metric, title) for title, g in titled] for metric in known]
        )
    else:
        figure = _figure([curves(runs, metric) for metric in known])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(path, include_plotlyjs=True)
    return path


def _figure(groups: Sequence[Sequence[Curve]]) -> Any:
    from plotly.subplots import make_subplots

    titles = [group[0].metric for group in groups if group]
    figure = make_subplots(rows=len(groups) or 1, cols=1, shared_xaxes=True, subplot_titles=titles)
    for row, group in enumerate(groups, start=1):
        for number, curve in enumerate(group):
            colour = _COLOURS[number % len(_COLOURS)]
            if any(curve.spread):
                _add_band(figure, curve, colour, row)
            figure.add_scatter(
                x=list(curve.epochs),
                y=list(curve.values),
                name=curve.title,
                legendgroup=curve.title,
                showlegend=row == 1,
                line={"color": colour},
                row=row,
                col=1,
            )
    figure.update_xaxes(title_text="epoch", row=len(groups) or 1, col=1)
    figure.update_layout(height=260 * max(len(groups), 1), template="simple_white")
    return figure


def _add_band(figure: Any, curve: Curve, colour: str, row: int) -> None:
    """The mean plus and minus one deviation, as an area without outline."""
    upper = [value + spread for value, spread in zip(curve.values, curve.spread, strict=True)]
    lower = [value - spread for value, spread in zip(curve.values, curve.spread, strict=True)]
    figure.add_scatter(
        x=[*curve.epochs, *reversed(curve.epochs)],
        y=[*upper, *reversed(lower)],
        fill="toself",
        fillcolor=colour,
        opacity=0.2,
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=curve.title,
        showlegend=False,
        row=row,
        col=1,
    )
