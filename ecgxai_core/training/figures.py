"""Curves of an evaluation, or of one or several training runs, as self-contained pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.training.evaluation import EvaluationData
from ecgxai_core.training.runs import METRICS, TrainingRun, same_but_seed
from ecgxai_core.training.scores import auroc, reliability_curve, roc_curve
from ecgxai_core.types import FloatArray

__all__ = ["Curve", "curves", "evaluation_page", "mean_curve", "save_curves"]


def evaluation_page(evaluated: EvaluationData) -> str:
    """HTML with both figures; the legend shows and hides classes."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, subplot_titles=("ROC", "Reliability"))
    areas = auroc(evaluated.truth, evaluated.probabilities)
    for c, name in enumerate(evaluated.classes):
        truth, p = evaluated.truth[:, c], evaluated.probabilities[:, c]
        title = f"{name} ({areas[c]:.3f})"
        _line(figure, 1, title, *roc_curve(truth, p))
        mean, share, _ = reliability_curve(truth, p)
        filled = ~np.isnan(mean)
        _line(figure, 2, title, mean[filled], share[filled])
    for column in (1, 2):
        figure.add_shape(
            type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot"}, row=1, col=column
        )
    figure.update_xaxes(title_text="1 - specificity", row=1, col=1)
    figure.update_yaxes(title_text="sensitivity", row=1, col=1)
    figure.update_xaxes(title_text="mean probability", row=1, col=2)
    figure.update_yaxes(title_text="fraction of records with the label", row=1, col=2)
    figure.update_layout(height=600, template="simple_white")
    return str(figure.to_html(include_plotlyjs=True))


def _line(figure: Any, column: int, title: str, x: FloatArray, y: FloatArray) -> None:
    figure.add_scatter(
        x=x.tolist(),
        y=y.tolist(),
        name=title,
        legendgroup=title,
        showlegend=column == 1,
        mode="lines" if column == 1 else "lines+markers",
        row=1,
        col=column,
    )


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008: distinguishable with any form of colour vision."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over epochs; ``spread`` is the standard deviation over seeds, or empty."""

    title: str
    metric: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    spread: tuple[float, ...] = ()


def curves(runs: Sequence[TrainingRun], metric: str) -> list[Curve]:
    """One curve per run; a missing value is NaN and interrupts the line."""
    found = []
    for run in runs:
        epochs = tuple(int(row["epoch"]) for row in run.history)
        values = (row.get(metric) for row in run.history)
        numbers = tuple(math.nan if value is None else float(value) for value in values)
        found.append(Curve(run.name, metric, epochs, numbers))
    return found


def mean_curve(runs: Sequence[TrainingRun], metric: str, title: str) -> Curve:
    """Mean and spread over the epochs that all runs have."""
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
    """Write the curves of runs as a self-contained HTML page; returns its path.

    With ``seeds_together``, runs that differ only in their seed are drawn as their mean with a
    band of one standard deviation.
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
    """Draw the mean plus and minus one standard deviation as an area without outline."""
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
