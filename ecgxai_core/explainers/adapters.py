"""Adapters to the ``shap`` and ``lime`` libraries.

Lundberg & Lee, NeurIPS 2017; expected gradients: Erion et al., Nature Machine Intelligence 3:620,
2021; ``LimeBase``: Ribeiro et al., KDD 2016. ``shap`` draws from numpy's global generator, which is
seeded from the content of the task under a lock and then restored.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from ecgxai_core.explainers.cost import TABLE_PASSES, Cost, Size
from ecgxai_core.explainers.differentiable import differentiable, pre_activation, value_of
from ecgxai_core.explainers.method import Explanation, Method, Task, cell_sums, spread_over_leads
from ecgxai_core.explainers.sampled_games import efficiency_gap, top_set_converged
from ecgxai_core.games.baselines import masked_input
from ecgxai_core.games.kernels import cosine_distance
from ecgxai_core.games.players import event_keep
from ecgxai_core.games.sampling import published_lime_coalitions
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.params import ExplainParams
from ecgxai_core.stopping import GRADIENT_PASSES, check_stop
from ecgxai_core.types import FloatArray

__all__ = ["LIME_ADAPTER", "SHAP_GRADIENT", "SHAP_PERMUTATION"]

BACKGROUND = ("zero", "mean", "linear")
"""Baselines that are the background of expected gradients, with equal weights."""

GROUPS = 8
"""Independent estimates that give the standard errors of expected gradients."""

_lock = threading.Lock()


def explain_shap_permutation(task: Task) -> Explanation:
    """Shapley values of the cells by ``shap.PermutationExplainer``.

    Every order of the cells is evaluated forwards and backwards (2 x cells + 1 masked records) and
    is one estimate, so their spread gives the standard errors. A segment's event value is the sum
    over its cells.
    """
    import shap

    shape = (len(task.leads), len(task.segmentation))
    n_cells = shape[0] * shape[1]

    def play(masks: Any) -> FloatArray:
        return task.values(np.asarray(masks, dtype=np.float64).reshape(-1, *shape) > 0.5)

    n_orders = task.params.n_permutations
    found = np.empty((n_orders, n_cells))
    with _seeded(task.seed("shap permutation")) as seed:
        masker = shap.maskers.Independent(np.zeros((1, n_cells)), max_samples=1)
        explainer = shap.PermutationExplainer(play, masker, seed=seed)
        for order in range(n_orders):
            answer = explainer(
                np.ones((1, n_cells)),
                max_evals=2 * n_cells + 1,
                batch_size=2 * n_cells + 1,
                silent=True,
            )
            found[order] = np.asarray(answer.values).reshape(n_cells)
            task.report(order + 1, n_orders, "orders of the cells")
    ends = play(np.repeat([[1.0], [0.0]], n_cells, axis=1))
    gap = efficiency_gap(found.mean(axis=0), float(ends[0]), float(ends[1]))
    return _from_estimates(
        found.reshape(n_orders, *shape), task, permutations=n_orders, efficiency_gap=gap
    )


def explain_shap_gradient(task: Task) -> Explanation:
    """Expected gradients by ``shap.GradientExplainer``.

    (x - b) times the gradient at a random point between x and a random background b: integrated
    gradients, sampled and averaged over the baselines of :data:`BACKGROUND`. ``baseline`` is not
    used.
    """
    import shap

    values = differentiable(task)
    background = np.stack(
        [masked_input(kind, task.model_input, task.segmentation) for kind in BACKGROUND]
    )
    given = task.model_input.values[None]
    size = values.batch_size
    draws = -(-task.params.n_gradients // (GROUPS * size)) * size
    found = np.empty((GROUPS, len(task.leads), len(task.segmentation)))
    with _seeded(task.seed("shap gradient")) as seed:
        explainer = shap.GradientExplainer(_value_network(task), background, batch_size=size)
        _make_stoppable(explainer.explainer)
        for group in range(GROUPS):
            answer = explainer.shap_values(given, nsamples=draws, rseed=(seed + group) % 2**32)
            found[group] = cell_sums(np.asarray(answer).reshape(given.shape[1:]), task)
            task.report(group + 1, GROUPS, "gradients between record and baselines")
    ends, _ = values.gradients(np.concatenate([given, background]))
    full, empty = float(ends[0]), float(ends[1:].mean())
    gap = efficiency_gap(found.mean(axis=0), full, empty)
    explanation = _from_estimates(
        found,
        task,
        gradient_passes=GROUPS * draws,
        background=list(BACKGROUND),
        baseline=None,
        efficiency_gap=gap,
    )
    return replace(explanation, worth=full - empty)


def _from_estimates(found: FloatArray, task: Task, **facts: Any) -> Explanation:
    """Mean and standard error of independent estimates ``float64[n, lead, segment]``."""
    count = len(found)
    mean, by_segment = found.mean(axis=0), found.sum(axis=1)
    errors = event_errors = None
    settled = False
    if count > 1:
        errors = found.std(axis=0, ddof=1) / np.sqrt(count)
        event_errors = by_segment.std(axis=0, ddof=1) / np.sqrt(count)
        # Few estimates give uncertain errors: Student's quantile in place of the normal one.
        params = task.params
        tail = (1 + params.converged_level) / 2
        wide = (errors * float(stdtrit(count - 1, tail) / ndtri(tail))).ravel()
        top, level = params.converged_top_k, params.converged_level
        settled = top_set_converged(mean.ravel(), wide, top, level)
    return Explanation(
        weights=mean,
        explored=np.ones(mean.shape, dtype=np.bool_),
        standard_errors=errors,
        event_values=by_segment.mean(axis=0),
        event_errors=event_errors,
        diagnostics={**facts, "converged": settled},
    )


def _value_network(task: Task) -> Any:
    """The explained value as a Keras model with one output, as ``shap`` wants it."""
    keras = import_keras()
    values = differentiable(task)
    classifier = values.classifier
    end, finish, _ = pre_activation(classifier)
    # nested, so that the names of these operations cannot clash with those of the network
    network = keras.Model(classifier.keras_model.inputs[0], end, name="network")
    manifest, batch = classifier.manifest, classifier.structure.inputs[0][0]
    given = keras.Input(batch_shape=(batch, manifest.samples, len(manifest.leads)))
    value = value_of(
        finish(network(given)),
        np.array(values.classes),
        values.sign,
        values.link,
        manifest.temperature,
        classifier.is_softmax,
    )
    # shap wants a layer at the end, which an operation is not
    end_layer = keras.layers.Identity(name="explained_value")
    return keras.Model([given], end_layer(keras.ops.expand_dims(value, 1)))


def _make_stoppable(explainer: Any) -> None:
    """Let ``shap``'s loop over batches, which asks for the gradient's graph each time, be ended."""
    graph_of = explainer.gradient

    def gradient(output: int) -> Any:
        check_stop(GRADIENT_PASSES * explainer.batch_size)
        return graph_of(output)

    explainer.gradient = gradient


@contextmanager
def _seeded(seed: int) -> Iterator[int]:
    """Numpy's global generator at a seed (also given back, as 32 bits), restored afterwards."""
    small = seed % 2**32
    with _lock:
        before = np.random.get_state()  # noqa: NPY002 - shap draws from it
        np.random.seed(small)  # noqa: NPY002
        try:
            yield small
        finally:
            np.random.set_state(before)  # noqa: NPY002


SHAP_PERMUTATION = Method(
    name="shap_permutation",
    title="SHAP permutation",
    family="perturbation",
    signed=True,
    uses=(
        "segments", "window_sec", "baseline", "link", "engine", "n_permutations",
        "converged_top_k", "converged_level", "seed",
    ),
    description="Shapley values of the cells, by the shap library's permutation explainer",
    run=explain_shap_permutation,
    cost=lambda params, size: {
        "n_permutations": params.n_permutations * (2.0 * size.leads * size.segments + 1)
    },
    gap="efficiency_gap",
)  # fmt: skip

SHAP_GRADIENT = Method(
    name="shap_gradient",
    title="SHAP gradient",
    family="gradient",
    signed=True,
    uses=(
        "segments", "window_sec", "link", "n_gradients", "converged_top_k", "converged_level",
        "seed",
    ),
    description="expected gradients over several baselines, by the shap library",
    run=explain_shap_gradient,
    cost=lambda params, _size: {"n_gradients": GRADIENT_PASSES * params.n_gradients},
    gap="efficiency_gap",
)  # fmt: skip


def explain_lime_adapter(task: Task) -> Explanation:
    """``LimeBase`` on masks of segments, all leads together.

    As in the library's own explainers, masks are Bernoulli draws, the first with everything on, and
    distance, kernel and ridge regression (``ridge_lime``) are the library's. A coefficient belongs
    to all leads of its segment and is shared evenly among them.
    """
    from lime.lime_base import LimeBase
    from sklearn.linear_model import Ridge

    params, n_segments = task.params, len(task.segmentation)
    seed = task.seed("lime library")
    chances = np.full(n_segments, params.p_on)
    rng = np.random.default_rng(seed)
    masks = published_lime_coalitions(chances, params.n_coalitions, rng).masks
    keep = event_keep(masks, len(task.leads))
    value = task.values(keep)
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


def _cost(params: ExplainParams, size: Size) -> Cost:
    if size.piece is not None:
        return {"": TABLE_PASSES}
    return {"n_coalitions": params.n_coalitions}


LIME_ADAPTER = Method(
    name="lime_adapter",
    title="LIME library",
    family="perturbation",
    signed=True,
    uses=(
        "segments", "window_sec", "baseline", "link", "engine", "n_coalitions", "p_on",
        "kernel_width", "ridge_lime", "seed",
    ),
    description="regression of the lime library on masks of segments, all leads together",
    run=explain_lime_adapter,
    cost=_cost,
)  # fmt: skip
