"""Pictures of an evaluation: ROC curves and reliability, one self-contained page."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgxai_core.models.training.calibration import reliability_curve
from ecgxai_core.models.training.evaluation import Judged
from ecgxai_core.models.training.scores import auroc
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["evaluation_page", "roc_curve"]


def roc_curve(truth: BoolArray, probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """1 - specificity and sensitivity at every distinct threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-probability, kind="stable")
    last = np.flatnonzero(np.diff(probability[order], append=-np.inf) != 0)
    found = np.cumsum(truth[order])[last]
    others = last + 1 - found
    false = np.concatenate([[0.0], others / max(int((~truth).sum()), 1)])
    true = np.concatenate([[0.0], found / max(int(truth.sum()), 1)])
    return false, true


def evaluation_page(judged: Judged) -> str:
    """HTML with both pictures; classes are switched in the legend."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, subplot_titles=("ROC", "Reliability"))
    areas = auroc(judged.truth, judged.probabilities)
    for c, name in enumerate(judged.classes):
        truth, p = judged.truth[:, c], judged.probabilities[:, c]
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
    figure.update_yaxes(title_text="share of records with the label", row=1, col=2)
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
