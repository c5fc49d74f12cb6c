"""Adapters to the ``shap`` library: other people's code for the same questions.

Lundberg & Lee, NeurIPS 2017; expected gradients: Erion et al., Nature Machine Intelligence 3:620,
2021. ``shap`` draws from numpy's global generator: it is seeded from the content of the task, under
a lock, and put back as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from ecgxai_core.explain.cells import cell_sums
from ecgxai_core.explain.differentiable import differentiable, pre_activation, value_of
from ecgxai_core.explain.integrated_gradients import masked_record
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.explain.playing import efficiency_gap, top_set_converged
from ecgxai_core.games.links import to_link
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.types import FloatArray

__all__ = [
    "BACKGROUND",
    "SHAP_GRADIENT",
    "SHAP_PERMUTATION",
    "explain_shap_gradient",
    "explain_shap_permutation",
]

BACKGROUND = ("zero", "mean", "linear")
"""Baselines that expected gradients take as their background; each counts the same."""

GROUPS = 8
"""Independent estimates that the standard errors of expected gradients come from."""

_lock = threading.Lock()


def explain_shap_permutation(task: Task) -> Explanation:
    """Shapley values of the cells by ``shap.PermutationExplainer``.

    Every order is played forwards and backwards (2 x cells + 1 masked records). Each is an estimate
    of its own, so their spread gives the standard errors. A segment's event value is the sum over
    its cells.
    """
    import shap

    shape = (len(task.leads), len(task.segmentation))
    n_cells = shape[0] * shape[1]

    def play(masks: Any) -> FloatArray:
        keep = np.asarray(masks, dtype=np.float64).reshape(-1, *shape) > 0.5
        probability = task.model.probabilities(keep, task.segmentation)
        return to_link(probability, task.params.link)

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
    gradients, sampled, and averaged over the baselines of :data:`BACKGROUND` instead of resting on
    one. ``baseline`` is not used.
    """
    import shap

    values = differentiable(task)
    background = np.stack([masked_record(task, kind) for kind in BACKGROUND])
    given = task.model_input.values[None]
    size = values.batch_size
    draws = -(-task.params.n_gradients // (GROUPS * size)) * size
    found = np.empty((GROUPS, len(task.leads), len(task.segmentation)))
    with _seeded(task.seed("shap gradient")) as seed:
        explainer = shap.GradientExplainer(_value_network(task), background, batch_size=size)
        for group in range(GROUPS):
            answer = explainer.shap_values(given, nsamples=draws, rseed=(seed + group) % 2**32)
            found[group] = cell_sums(np.asarray(answer).reshape(given.shape[1:]), task)
            task.report(group + 1, GROUPS, "gradients between record and baselines")
    ends, _ = values.gradients(np.concatenate([given, background]))
    gap = efficiency_gap(found.mean(axis=0), float(ends[0]), float(ends[1:].mean()))
    return _from_estimates(
        found,
        task,
        gradient_passes=GROUPS * draws,
        background=list(BACKGROUND),
        baseline=None,
        efficiency_gap=gap,
    )


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
    """The explained value as a Keras model of one output, because ``shap`` asks for one."""
    keras = import_keras()
    values = differentiable(task)
    classifier = values.classifier
    end, finish, _ = pre_activation(classifier)
    # Nested, so that the names of these operations cannot meet those of the network.
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
    # shap looks at the last layer, and an operation is none.
    end_layer = keras.layers.Identity(name="explained_value")
    return keras.Model([given], end_layer(keras.ops.expand_dims(value, 1)))


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
)  # fmt: skip
