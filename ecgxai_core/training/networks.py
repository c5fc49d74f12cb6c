"""Networks of the zoo, each from ``(input, shape, options, seed, name)`` to its output.

- ``resnet1d``: ResNet for time series (Wang, Yan & Oates, IJCNN 2017, arXiv:1611.06455). Residual
  blocks of convolutions without stride or intermediate pooling.
- ``inception1d``: InceptionTime (Ismail Fawaz et al., Data Mining and Knowledge Discovery 34:1936,
  2020). Kernels of several lengths are applied in parallel to a bottleneck, beside a pooled branch;
  a shortcut spans three modules. No stride.
- ``xresnet1d``: the "bag of tricks" ResNet (He et al., CVPR 2019, arXiv:1812.01187) in one
  dimension, as in Strodthoff et al., IEEE J. Biomed. Health Inform. 25:1519 (2021): a stem of three
  convolutions, bottleneck blocks of constant width whose last normalisation starts at zero, and the
  mean and the maximum over time. ``blocks`` (3, 4, 6, 3) is their xresnet1d50, (3, 4, 23, 3) their
  xresnet1d101.
- ``rhythm``: a residual encoder that ends at an eighth of the sampling rate (12.5 Hz at 100 Hz), a
  two-way GRU over the whole record, and attention over its steps (Bahdanau et al., ICLR 2015)
  beside their mean and maximum, as in the attention-based networks of the PhysioNet/CinC
  Challenges. It can compare intervals between beats, which a mean over local features cannot.
- ``cnn``, ``cnn_lstm``, ``cnn_bilstm``, ``cnn_gru``, ``lstm``: strided convolutions, then a
  recurrent layer (LSTM: Hochreiter & Schmidhuber 1997; bidirectional: Graves & Schmidhuber 2005;
  GRU: Cho et al. 2014). Its outputs are averaged over time, because serial convolution-LSTM models
  of ECGs that use only the last output often stay at chance level.
- ``lead_attention``: after the design of TrustECG. One residual encoder is applied to every lead
  separately. Temporal attention weights the time steps of each lead, lead attention the leads (both
  as in Bahdanau et al., ICLR 2015: softmax of a small tanh network).

The others end in global average pooling over time and one dense sigmoid layer.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ecgxai_core.training.zoo import Options, Shape

__all__ = ["untrained"]

_SPAN = 3  # inception modules that one shortcut spans
_POOL = 4  # samples averaged before an LSTM without convolutions: 1000 steps become 250


def untrained(name: str, shape: Shape, options: Options, seed: int) -> Any:
    """Model ``float32[batch, sample, lead] -> float32[batch, output]``.

    ``lead_attention`` also returns its attention, in a dict: ``probability`` ``[output]``,
    ``temporal_attention`` ``[step, lead]`` (sums to 1 over steps) and ``lead_attention`` ``[lead]``
    (sums to 1). Its kernels, as those of ``rhythm``, are the stem's, then those of the two
    convolutions of each stage. The filters of ``inception1d`` are per branch, one entry per module;
    its kernels are the branches. The filters of ``xresnet1d`` are those inside the bottlenecks.
    """
    start = layers.Input((shape.samples, shape.leads), name="ecg")
    if name == "lead_attention":
        return keras.Model(start, _lead_attention(start, shape, options, seed), name=name)
    bodies = {
        "resnet1d": _resnet, "inception1d": _inception, "xresnet1d": _xresnet, "rhythm": _rhythm,
    }  # fmt: skip
    x = bodies[name](start, options) if name in bodies else _serial(start, options, name)
    x = _over_time(x, options, name)
    if options.dropout:
        x = layers.Dropout(options.dropout, seed=seed % 2**31, name="dropout")(x)
    output = layers.Dense(shape.outputs, activation="sigmoid", name="probability")(x)
    return keras.Model(start, output, name=name)


def _over_time(x: Any, options: Options, name: str) -> Any:
    """Features ``[batch, feature]`` of all steps ``[batch, step, feature]``."""
    mean = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    if name not in {"xresnet1d", "rhythm"}:
        return mean
    parts = [mean, layers.GlobalMaxPooling1D(name="maximum_over_time")(x)]
    if name == "rhythm":
        weights = _attention(x, options.units, "temporal")
        parts.append(ops.sum(layers.Multiply(name="steps_weighted")([x, weights]), axis=1))
    x = layers.Concatenate(name="pooled")(parts)
    return layers.BatchNormalization(name="pooled_norm")(x)


def _xresnet(x: Any, options: Options) -> Any:
    kernel = options.kernels_of(0)[0]
    for number, (filters, stride) in enumerate(((32, 2), (32, 1), (64, 1)), start=1):
        x = _normed(x, filters, kernel, stride, f"stem{number}")
        x = layers.ReLU(name=f"stem{number}_relu")(x)
    x = layers.MaxPooling1D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, filters in enumerate(options.filters):
        blocks = options.blocks[stage] if stage < len(options.blocks) else 1
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            name = f"stage{stage + 1}_block{block + 1}"
            x = _bottleneck(x, filters, options.kernels_of(stage)[0], stride, name)
    return x


_EXPANSION = 4  # filters after a bottleneck over those inside it


def _bottleneck(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling1D(stride, padding="same", name=f"{name}_pool")(shortcut)
    if x.shape[-1] != _EXPANSION * filters:
        shortcut = _normed(shortcut, _EXPANSION * filters, 1, 1, f"{name}_shortcut")
    x = layers.ReLU(name=f"{name}_relu1")(_normed(x, filters, 1, 1, f"{name}_conv1"))
    x = layers.ReLU(name=f"{name}_relu2")(_normed(x, filters, kernel, stride, f"{name}_conv2"))
    x = _normed(x, _EXPANSION * filters, 1, 1, f"{name}_conv3", gamma="zeros")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _normed(x: Any, filters: int, kernel: int, stride: int, name: str, gamma: str = "ones") -> Any:
    """Convolution and batch normalisation; ``gamma`` is how its scale starts."""
    x = layers.Conv1D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(gamma_initializer=gamma, name=f"{name}_norm")(x)


def _rhythm(x: Any, options: Options) -> Any:
    x = _normed(x, options.filters[0], options.kernels_of(0)[0], 2, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, filters in enumerate(options.filters):
        name, kernels, stride = (
            f"stage{stage + 1}",
            options.kernels_of(stage + 1),
            min(stage, 1) + 1,
        )
        shortcut = x
        if stride > 1:
            shortcut = layers.AveragePooling1D(2, padding="same", name=f"{name}_pool")(x)
        if x.shape[-1] != filters:
            shortcut = _normed(shortcut, filters, 1, 1, f"{name}_shortcut")
        x = layers.ReLU(name=f"{name}_relu1")(
            _normed(x, filters, kernels[0], stride, f"{name}_conv1")
        )
        x = _normed(x, filters, kernels[-1], 1, f"{name}_conv2")
        x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))
    gru = layers.GRU(options.units, return_sequences=True, name="gru")
    turned = layers.Bidirectional(gru, name="two_way_gru")(x)
    return layers.Concatenate(name="steps")([x, turned])


def _resnet(x: Any, options: Options) -> Any:
    for stage, filters in enumerate(options.filters):
        name, kernels, shortcut = f"block{stage + 1}", options.kernels_of(stage), x
        if x.shape[-1] != filters:
            shortcut = layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_shortcut")(x)
            shortcut = layers.BatchNormalization(name=f"{name}_shortcut_norm")(shortcut)
        for number, kernel in enumerate(kernels, start=1):
            part = f"{name}_conv{number}"
            x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, name=part)(x)
            x = layers.BatchNormalization(name=f"{part}_norm")(x)
            if number < len(kernels):
                x = layers.ReLU(name=f"{part}_relu")(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))
    return x


def _inception(x: Any, options: Options) -> Any:
    shortcut = x
    for number, filters in enumerate(options.filters, start=1):
        x = _inception_module(x, filters, options.kernels_of(number - 1), f"module{number}")
        if number % _SPAN == 0:
            x = shortcut = _shortcut(x, shortcut, f"residual{number}")
    return x


def _inception_module(x: Any, filters: int, kernels: tuple[int, ...], name: str) -> Any:
    narrow = layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_narrow")(x)
    branches = [
        layers.Conv1D(filters, k, padding="same", use_bias=False, name=f"{name}_branch{b}")(narrow)
        for b, k in enumerate(kernels, start=1)
    ]
    pooled = layers.MaxPooling1D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches.append(layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_pooled")(pooled))
    x = layers.Concatenate(name=f"{name}_join")(branches)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def _shortcut(x: Any, shortcut: Any, name: str) -> Any:
    shortcut = layers.Conv1D(x.shape[-1], 1, use_bias=False, name=f"{name}_shortcut")(shortcut)
    shortcut = layers.BatchNormalization(name=f"{name}_norm")(shortcut)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _serial(x: Any, options: Options, name: str) -> Any:
    """Stages of convolution, batch normalisation, ReLU and pooling by 4; then a recurrent layer."""
    if name == "lstm":
        x = layers.AveragePooling1D(_POOL, padding="same", name="average")(x)
    else:
        for stage, filters in enumerate(options.filters):
            kernel, part = options.kernels_of(stage)[0], f"conv{stage + 1}"
            x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, name=part)(x)
            x = layers.ReLU(name=f"{part}_relu")(layers.BatchNormalization(name=f"{part}_norm")(x))
            x = layers.MaxPooling1D(4, padding="same", name=f"{part}_pool")(x)
    if name == "cnn":
        return x
    if name == "cnn_gru":
        return layers.GRU(options.units, return_sequences=True, name="gru")(x)
    lstm = layers.LSTM(options.units, return_sequences=True, name="lstm")
    return (layers.Bidirectional(lstm, name="bilstm") if name == "cnn_bilstm" else lstm)(x)


def _lead_attention(x: Any, shape: Shape, options: Options, seed: int) -> dict[str, Any]:
    x = ops.expand_dims(x, axis=-1)
    x = _convolution(x, options.filters[0], options.kernels_of(0)[0], 2, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, filters in enumerate(options.filters):
        x = _lead_block(x, filters, options.kernels_of(stage + 1), f"stage{stage + 1}")
    steps = _attention(x, options.units, "temporal")
    attended = ops.sum(layers.Multiply(name="moments_weighted")([x, steps]), axis=1)
    # The mean keeps what repeats with every beat, such as the heart rate.
    leads = layers.Concatenate(name="per_lead")([attended, ops.mean(x, axis=1)])
    weights = _attention(leads, options.units, "lead")
    x = layers.Multiply(name="leads_weighted")([leads, weights])
    x = layers.BatchNormalization(name="leads_norm")(layers.Flatten(name="leads_flat")(x))
    x = _dropout(x, options.dropout, seed, 1)
    x = layers.Dense(options.units, activation="relu", name="dense")(x)
    x = _dropout(x, options.dropout, seed, 2)
    return {
        "probability": layers.Dense(shape.outputs, activation="sigmoid", name="probability")(x),
        "temporal_attention": ops.squeeze(steps, axis=-1),
        "lead_attention": ops.squeeze(weights, axis=-1),
    }


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    """Convolution over time only, then batch normalisation: ``[step, lead, filter]``."""
    x = layers.Conv2D(
        filters, (kernel, 1), strides=(stride, 1), padding="same", use_bias=False, name=name
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)


def _lead_block(x: Any, filters: int, kernels: tuple[int, ...], name: str) -> Any:
    """Residual block that halves the number of time steps."""
    shortcut = layers.AveragePooling2D((2, 1), padding="same", name=f"{name}_pool")(x)
    if x.shape[-1] != filters:
        shortcut = _convolution(shortcut, filters, 1, 1, f"{name}_shortcut")
    x = _convolution(x, filters, kernels[0], 2, f"{name}_conv1")
    x = layers.ReLU(name=f"{name}_conv1_relu")(x)
    x = _convolution(x, filters, kernels[-1], 1, f"{name}_conv2")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _attention(x: Any, units: int, name: str) -> Any:
    """Weights that sum to 1 along axis 1; the last axis has length 1."""
    x = layers.Dense(units, activation="tanh", name=f"{name}_score_hidden")(x)
    x = layers.Dense(1, use_bias=False, name=f"{name}_score")(x)
    return layers.Softmax(axis=1, name=f"{name}_weights")(x)


def _dropout(x: Any, rate: float, seed: int, number: int) -> Any:
    if not rate:
        return x
    return layers.Dropout(rate, seed=(seed + number) % 2**31, name=f"dropout{number}")(x)
