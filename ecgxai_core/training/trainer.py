"""The TensorFlow part of training: loss, optimiser steps, averaged weights, and restoring them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.training.config import LossParams, TrainParams
from ecgxai_core.training.runs import Arrays
from ecgxai_core.training.zoo import Shape, build
from ecgxai_core.types import BoolArray, Float32Array

__all__ = ["Trainer", "class_probabilities", "class_weights", "make_loss"]

_EPS = 1e-6


def class_weights(truth: BoolArray, kind: str) -> Float32Array:
    """Weight of the positives of each class, ``float32[class]``, at most 100.

    ``"none"`` is 1; ``"inverse"`` is negatives / positives, which gives both the same total
    weight; ``"sqrt"`` is its square root.
    """
    positives = np.maximum(truth.sum(axis=0), 1)
    ratio = (len(truth) - positives) / positives
    powers = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}
    return np.asarray(np.clip(ratio ** powers[kind], 0, 100), np.float32)


def make_loss(params: LossParams, weights: Float32Array) -> Callable[[Any, Any], Any]:
    """Loss ``(targets, probabilities) -> scalar``, both ``float32[batch, class]``.

    Binary cross-entropy, or the focal loss of Lin et al. (ICCV 2017), which multiplies each term
    by ``(1 - p_t) ** gamma``.
    """
    import tensorflow as tf

    positive = tf.constant(weights)
    smooth = params.label_smoothing

    def loss(targets: Any, probabilities: Any) -> Any:
        p = tf.clip_by_value(probabilities, _EPS, 1 - _EPS)
        t = targets * (1 - smooth) + 0.5 * smooth
        present = -positive * t * tf.math.log(p)
        absent = -(1 - t) * tf.math.log1p(-p)
        if params.kind == "focal":
            present *= (1 - p) ** params.gamma
            absent *= p**params.gamma
        return tf.reduce_mean(present + absent)

    return loss


class Trainer:
    """A model in training.

    Predictions use an exponential moving average of the weights over steps (Polyak & Juditsky,
    SIAM J. Control Optim. 30:838, 1992), including normalisation statistics. Its decay is
    min(decay, (1 + step) / (10 + step)), so that the initial weights have little influence.
    In the last epochs of a run it can be the mean with equal shares instead (stochastic weight
    averaging: Izmailov et al., UAI 2018, arXiv:1803.05407); :meth:`renormalise` then measures the
    normalisation statistics that belong to it.
    """

    def __init__(self, params: TrainParams, shape: Shape, weights: Float32Array) -> None:
        import keras
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        self.params = params
        self.shape = shape
        name, options = params.model.name, params.model.options
        # Crops are shorter than records, so the trained model accepts any length.
        free = replace(shape, samples=None) if params.data.crops else shape
        self.model = build(name, free, options, params.seed)
        self._full = build(name, shape, options, params.seed)
        self.optimiser = keras.optimizers.AdamW(
            params.schedule.learning_rate,
            weight_decay=params.optimiser.weight_decay,
            global_clipnorm=params.optimiser.clip_norm,
        )
        self.optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimiser.build(self.model.trainable_variables)
        self._average = [tf.Variable(weight) for weight in self.model.get_weights()]
        self._steps = tf.Variable(0, dtype=tf.int64)
        self._step = tf.function(self._make_step(make_loss(params.loss, weights)))
        self._forward = tf.function(
            lambda signals: self._full(signals, training=False),
            input_signature=[tf.TensorSpec((None, shape.samples, shape.leads), tf.float32)],
        )

    def begin_from(self, weights: Arrays) -> None:
        """Start from the weights of a trained model instead of initial ones.

        Raises
        ------
        RunError
            They are those of another architecture.
        """
        shapes = [tuple(variable.shape) for variable in self.model.weights]
        if shapes != [tuple(weight.shape) for weight in weights]:
            problem, fix = "is not the initial model's", "take the configuration it was made with"
            raise RunError("training", "model", problem, fix)
        self.model.set_weights(list(weights))
        for average, weight in zip(self._average, weights, strict=True):
            average.assign(weight)

    def _make_step(self, loss: Any) -> Any:
        import tensorflow as tf

        limit = self.params.optimiser.average_decay

        def step(signals: Any, targets: Any, equal: Any) -> Any:
            with tf.GradientTape() as tape:
                outputs = self.model(signals, training=True)
                value = loss(targets, class_probabilities(outputs))
            variables = self.model.trainable_variables
            self.optimiser.apply_gradients(
                zip(tape.gradient(value, variables), variables, strict=True)
            )
            done = tf.cast(self._steps.assign_add(1), tf.float32)
            decay = tf.minimum(tf.constant(limit, tf.float32), (1 + done) / (10 + done))
            decay = tf.where(equal >= 0, equal / (equal + 1), decay)
            for average, weight in zip(self._average, self.model.weights, strict=True):
                average.assign(decay * average + (1 - decay) * weight.value)
            return value

        return step

    def step(self, signals: Any, targets: Any, rate: float, averaged: int = -1) -> float:
        """Take one optimiser step; returns the loss.

        ``averaged`` is the number of steps that the mean with equal shares has so far; below 0,
        the average is exponential.

        Raises
        ------
        RunError
            The loss is not finite.
        """
        import tensorflow as tf

        self.optimiser.learning_rate = rate
        value = float(self._step(signals, targets, tf.constant(averaged, tf.float32)))
        if not np.isfinite(value):
            raise RunError("training", "loss", "is not finite", "lower the learning rate")
        return value

    def averaged(self) -> list[npt.NDArray[Any]]:
        """The averaged weights, in the model's order."""
        optimiser = self.params.optimiser
        if not optimiser.average_decay and not optimiser.equal_average_from:
            return list(self.model.get_weights())
        return [variable.numpy() for variable in self._average]

    def renormalise(self, batches: Iterable[Float32Array]) -> None:
        """Replace the averaged normalisation statistics by those of the averaged weights: the mean
        over some batches of training signals, each with the same share."""
        import keras

        self._full.set_weights(self.averaged())
        layers = [
            layer
            for layer in self._full._flatten_layers(include_self=False, recursive=True)
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        if not layers:
            return
        usual = [layer.momentum for layer in layers]
        for number, signals in enumerate(batches):
            for layer in layers:
                layer.momentum = number / (number + 1)
            self._full(signals, training=True)
        for layer, momentum in zip(layers, usual, strict=True):
            layer.momentum = momentum
        for average, weight in zip(self._average, self._full.get_weights(), strict=True):
            average.assign(weight)

    def predictor(self) -> Callable[[Float32Array], Float32Array]:
        """A function that predicts whole records with the current averaged weights."""
        self._full.set_weights(self.averaged())

        def predict(signals: Float32Array) -> Float32Array:
            return np.asarray(class_probabilities(self._forward(signals)).numpy(), np.float32)

        return predict

    def groups(self) -> dict[str, Arrays]:
        """The complete state that the next step depends on, for a checkpoint."""
        return {
            "model": [variable.numpy() for variable in self.model.variables],
            "optimiser": [variable.numpy() for variable in self.optimiser.variables],
            "average": [variable.numpy() for variable in self._average],
            "steps": [np.asarray(self._steps.numpy())],
        }

    def restore(self, groups: Mapping[str, Arrays]) -> None:
        """Restore the state that :meth:`groups` returned.

        Raises
        ------
        RunError
            It belongs to another model.
        """
        variables = {
            "model": self.model.variables,
            "optimiser": self.optimiser.variables,
            "average": self._average,
            "steps": [self._steps],
        }
        for group, current in variables.items():
            arrays = groups.get(group, ())
            if [tuple(v.shape) for v in current] != [a.shape for a in arrays]:
                problem, fix = "does not match the model", "start a new run"
                raise RunError("checkpoint.npz", group, problem, fix)
            for variable, array in zip(current, arrays, strict=True):
                variable.assign(array)


def class_probabilities(outputs: Any) -> Any:
    """The class output of a model that may also return attention."""
    return outputs["probability"] if isinstance(outputs, dict) else outputs
