"""Adapter to the ``lime`` library's ``LimeBase`` (Ribeiro et al., KDD 2016)."""

from __future__ import annotations

import numpy as np

from ecgxai_core.explain.cells import spread_over_leads
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.games.kernels import cosine_distance
from ecgxai_core.games.links import to_link
from ecgxai_core.games.players import event_keep
from ecgxai_core.games.sampling import published_lime_coalitions
from ecgxai_core.types import FloatArray

__all__ = ["LIME_ADAPTER", "explain_lime_adapter"]


def explain_lime_adapter(task: Task) -> Explanation:
    """``LimeBase`` on masks of segments, all leads together.

    Masks are Bernoulli draws, the first with everything on, as the library's own explainers make
    them; distance and kernel are theirs too, and the regression is its ridge with ``ridge_lime``.
    A coefficient belongs to all leads of its segment and is shared evenly among them.
    """
    from lime.lime_base import LimeBase
    from sklearn.linear_model import Ridge

    params, n_segments = task.params, len(task.segmentation)
    seed = task.seed("lime library")
    chances = np.full(n_segments, params.p_on)
    rng = np.random.default_rng(seed)
    masks = published_lime_coalitions(chances, params.n_coalitions, rng).masks
    keep = event_keep(masks, len(task.leads))
    value = to_link(task.model.probabilities(keep, task.segmentation), params.link)
    task.report(1, 2, "masked records")

    def kernel(distance: FloatArray) -> FloatArray:
        return np.sqrt(np.exp(-(distance**2) / params.kernel_width**2))

    ridge = Ridge(alpha=params.ridge_lime, fit_intercept=True)
    intercept, pairs, score, _ = LimeBase(
        kernel, random_state=seed % 2**32
    ).explain_instance_with_data(
        masks.astype(np.float64),
        value[:, None],
        cosine_distance(n_segments)[masks.sum(axis=1)],
        0,
        n_segments,
        feature_selection="none",
        model_regressor=ridge,
    )
    task.report(2, 2, "regression")
    events = np.empty(n_segments)
    for segment, coefficient in pairs:
        events[int(segment)] = float(coefficient)
    weights = spread_over_leads(events, len(task.leads))
    return Explanation(
        weights=weights,
        explored=np.ones(weights.shape, dtype=np.bool_),
        event_values=events,
        diagnostics={
            "coalitions": {"event": len(masks)},
            "intercept": float(intercept),
            "training_r2": float(score),
            "lead_axis": False,
        },
    )


LIME_ADAPTER = Method(
    name="lime_adapter",
    title="LIME library",
    family="perturbation",
    signed=True,
    uses=(
        "segments", "window_sec", "baseline", "link", "engine", "n_coalitions", "p_on",
        "kernel_width", "ridge_lime", "seed",
    ),
    description="the lime library's own regression on masks of segments; leads are not told apart",
    run=explain_lime_adapter,
)  # fmt: skip
