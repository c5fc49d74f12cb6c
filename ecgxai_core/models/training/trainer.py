"""The part of training that touches TensorFlow: one step, the averaged weights, their restoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.models.training.config import TrainParams
from ecgxai_core.models.training.losses import make_loss
from ecgxai_core.models.training.rundir import Arrays
from ecgxai_core.models.zoo import Shape, build
from ecgxai_core.types import Float32Array

__all__ = ["Trainer"]


class Trainer:
    """A model in training.

    The averaged weights are an exponential moving average over steps (Polyak & Juditsky, SIAM J.
    Control Optim. 30:838, 1992), normalisation statistics included; predictions use them. Its decay
    starts low, as min(decay, (1 + step) / (10 + step)), so that starting weights are forgotten.
    """

    def __init__(self, params: TrainParams, shape: Shape, weights: Float32Array) -> None:
        import keras
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        self.params = params
        self.shape = shape
        name, options = params.model.name, params.model.options
        # Crops are shorter than records: a model of free length trains, one of full length tells.
        free = replace(shape, samples=None) if params.data.crops else shape
        self.model = build(name, free, options, params.seed)
        self.teller = build(name, shape, options, params.seed)
        how = params.optimiser
        self.optimiser = keras.optimizers.AdamW(
            params.schedule.learning_rate,
            weight_decay=how.weight_decay,
            global_clipnorm=how.clip_norm,
        )
        self.optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimiser.build(self.model.trainable_variables)
        self._average = [tf.Variable(weight) for weight in self.model.get_weights()]
        self._steps = tf.Variable(0, dtype=tf.int64)
        self._step = tf.function(self._make_step(make_loss(params.loss, weights)))
        self._tell = tf.function(
            lambda signals: self.teller(signals, training=False),
            input_signature=[tf.TensorSpec((None, shape.samples, shape.leads), tf.float32)],
        )

    def _make_step(self, loss: Any) -> Any:
        import tensorflow as tf

        limit = self.params.optimiser.average_decay

        def step(signals: Any, targets: Any) -> Any:
            with tf.GradientTape() as tape:
                outputs = self.model(signals, training=True)
                value = loss(targets, _probabilities(outputs))
            variables = self.model.trainable_variables
            self.optimiser.apply_gradients(
                zip(tape.gradient(value, variables), variables, strict=True)
            )
            done = tf.cast(self._steps.assign_add(1), tf.float32)
            decay = tf.minimum(tf.constant(limit, tf.float32), (1 + done) / (10 + done))
            for average, weight in zip(self._average, self.model.weights, strict=True):
                average.assign(decay * average + (1 - decay) * weight.value)
            return value

        return step

    def step(self, signals: Any, targets: Any, rate: float) -> float:
        """One step of the optimiser; returns the loss.

        Raises
        ------
        RunError
            The loss is not finite.
        """
        self.optimiser.learning_rate = rate
        value = float(self._step(signals, targets))
        if not np.isfinite(value):
            raise RunError("training", "loss", "is not finite", "lower the learning rate")
        return value

    def averaged(self) -> list[npt.NDArray[Any]]:
        """The averaged weights, in the model's own order."""
        if not self.params.optimiser.average_decay:
            return list(self.model.get_weights())
        return [variable.numpy() for variable in self._average]

    def predictor(self) -> Callable[[Float32Array], Float32Array]:
        """Probabilities of whole records, with the averaged weights of this moment."""
        self.teller.set_weights(self.averaged())

        def predict(signals: Float32Array) -> Float32Array:
            return np.asarray(_probabilities(self._tell(signals)).numpy(), np.float32)

        return predict

    def groups(self) -> dict[str, Arrays]:
        """Everything that the next step depends on."""
        return {
            "model": [variable.numpy() for variable in self.model.variables],
            "optimiser": [variable.numpy() for variable in self.optimiser.variables],
            "average": [variable.numpy() for variable in self._average],
            "steps": [np.asarray(self._steps.numpy())],
        }

    def restore(self, groups: Mapping[str, Arrays]) -> None:
        """Take over what :meth:`groups` gave.

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
        for group, there in variables.items():
            arrays = groups.get(group, ())
            if [tuple(v.shape) for v in there] != [a.shape for a in arrays]:
                raise RunError("checkpoint.npz", group, "does not fit the model", "start again")
            for variable, array in zip(there, arrays, strict=True):
                variable.assign(array)


def _probabilities(outputs: Any) -> Any:
    """The class output of a model that may also return attention."""
    return outputs["probability"] if isinstance(outputs, dict) else outputs
