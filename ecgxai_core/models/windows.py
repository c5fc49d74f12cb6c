"""A network that sees a short window, applied along a record: one model with one answer.

The PTB-XL benchmark trains on crops of 2.5 s and takes, for each class, the largest probability of
the crops of a record (Strodthoff et al., IEEE J. Biomed. Health Inform. 25:1519, 2021). What is
explained is that answer, so a map covers the record and not one crop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.plain import plain
from ecgxai_core.models.safe.structure import MAX_OPERATIONS, Structure
from ecgxai_core.types import Float32Array, FloatArray

__all__ = ["combined", "windowed"]


def windowed(
    model: Any, manifest: Manifest, structure: Structure, index: int, name: str
) -> tuple[Any, Structure, int]:
    """The network over the windows of a record, as one network.

    Parameters
    ----------
    model
        Takes ``[record, sample, lead]`` of one window.
    manifest
        Says where the windows lie and how they are combined.
    structure, index
        Of the network, and which of its outputs holds the classes.
    name
        File name, for errors.

    Returns
    -------
    A network that takes whole records, its structure, and which output holds the classes.

    Raises
    ------
    ModelError
        It would take too many operations.
    """
    spec = manifest.windows
    if spec is None:
        return model, structure, index
    starts = manifest.window_starts
    operations = structure.operations * len(starts)
    if operations > MAX_OPERATIONS:
        problem = f"takes {operations:.3g} operations for one record (limit {MAX_OPERATIONS:.3g})"
        raise ModelError(name, "windows", problem, "take a longer step, or a shorter record")
    keras = import_keras()
    batch, _, n_leads = model.inputs[0].shape
    given = keras.Input(batch_shape=(batch, manifest.samples, n_leads), name="record")
    results = []
    for number, start in enumerate(starts):
        rest = manifest.samples - start - spec.samples
        crop = keras.layers.Cropping1D((start, rest), name=f"window_{number}")(given)
        found = keras.tree.flatten(model(crop))[index]
        results.append(_of_one_window(keras, manifest, found))
    join = keras.layers.Maximum if spec.combine == "max" else keras.layers.Average
    whole = keras.Model(given, results[0] if len(results) == 1 else join()(results))
    own = replace(
        structure, outputs=(structure.outputs[index],), operations=operations, receptive_field=None
    )
    return plain(whole, name), own, 0


def _of_one_window(keras: Any, manifest: Manifest, found: Any) -> Any:
    """What is combined: probabilities, or logits where their largest is as good."""
    if manifest.output == manifest.combined_output:
        return found
    if manifest.output == "softmax":
        return keras.layers.Softmax()(found)
    return keras.layers.Activation("sigmoid")(found)


def combined(raw: Float32Array, manifest: Manifest) -> Float32Array:
    """Outputs of the windows of one record, ``float32[window, class]``, as one ``float32[class]``.

    The same as :func:`windowed`, for networks that Keras does not run.
    """
    from scipy.special import expit, softmax

    if manifest.windows is None:
        only: Float32Array = raw[0]
        return only
    values: FloatArray = raw.astype(np.float64)
    if manifest.output != manifest.combined_output:
        values = softmax(values, axis=1) if manifest.output == "softmax" else expit(values)
    joined = values.max(axis=0) if manifest.windows.combine == "max" else values.mean(axis=0)
    return np.asarray(joined, dtype=np.float32)
