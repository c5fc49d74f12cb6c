"""A model whose weights are randomised layer by layer, for the sanity test of explanations."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.plain import set_weights
from ecgxai_core.types import array_digest, content_seed

__all__ = ["cascade", "randomised"]

Copies = dict[tuple[int, int], tuple[tuple[str, KerasClassifier], ...]]
_made: weakref.WeakKeyDictionary[KerasClassifier, Copies] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def cascade(
    classifier: KerasClassifier, seed: int = 0, stages: int | None = None
) -> Iterator[tuple[str, KerasClassifier]]:
    """Copies of a model with more and more of its weights randomised, from the output down.

    Adebayo et al. 2018 (arXiv 1810.03292), cascading randomisation. The values of each weight
    array are dealt to random places of the same array, so every layer keeps the distribution of
    its weights (variances stay positive, activations in range) and loses what it learned. The
    original is not touched.

    Parameters
    ----------
    classifier
        The model.
    seed
        Mixed with the model's digest and the layer's place.
    stages
        How many copies are made, evenly over the layers; the last has all layers randomised. By
        default one a layer.

    Yields
    ------
    Name of the lowest layer that is randomised, and the classifier, whose digest is its own.

    Raises
    ------
    ParameterError
        Fewer than one stage.
    """
    if stages is not None and stages < 1:
        raise ParameterError("sanity", "stages", f"{stages} is too few", "ask for at least one")
    from ecgxai_core.models.keras_runtime import import_keras

    keras = import_keras()
    model = keras.models.clone_model(classifier.keras_model)
    set_weights(model, classifier.keras_model.get_weights())
    layers = [layer for layer in reversed(model.layers) if layer.weights]
    n = len(layers) if stages is None else min(stages, len(layers))
    stops = {round((i + 1) * len(layers) / n) for i in range(n)} if layers else set()
    for count, layer in enumerate(layers, start=1):
        _randomise(layer, content_seed("randomised", classifier.digest, count, seed))
        if count in stops:
            yield layer.name, _copy(keras, classifier, model, f"{layer.name}/{count}/{seed}")


def randomised(
    classifier: KerasClassifier, seed: int = 0, stages: int = 1
) -> tuple[tuple[str, KerasClassifier], ...]:
    """The copies of :func:`cascade`, made once and kept as long as the classifier.

    Making a copy costs more than explaining with it, as its graphs are compiled anew.
    """
    with _lock:
        known = _made.setdefault(classifier, {})
        if (seed, stages) not in known:
            known[seed, stages] = tuple(cascade(classifier, seed, stages))
        return known[seed, stages]


def _randomise(layer: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = [np.asarray(array) for array in layer.get_weights()]
    set_weights(layer, [rng.permutation(w.reshape(-1)).reshape(w.shape) for w in weights])


def _copy(keras: Any, classifier: KerasClassifier, model: Any, what: str) -> KerasClassifier:
    """A classifier of its own, so that later stages do not change it."""
    own = keras.models.clone_model(model)
    set_weights(own, model.get_weights())
    made = KerasClassifier(
        own, classifier.manifest, classifier.structure, classifier.output_index, classifier.name
    )
    made.digest = array_digest(np.zeros(0), extra=["randomised", classifier.digest, what])
    return made
