"""What replaces a masked cell.

A baseline is one fixed signal: a cell is masked by copying its samples from there, whatever the
other cells do, so that masking is the same act in every coalition.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from types import MappingProxyType

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.games.record_baselines import isoelectric, median_beat, noise
from ecgxai_core.types import Float32Array, ModelInput, Segmentation, array_digest

__all__ = ["BASELINES", "BY_SEGMENT", "baseline_signal"]

BY_SEGMENT = frozenset({"linear"})
"""Baselines that depend on how time is cut: a finer cut fills cells with another signal."""

_REMEMBERED = 8

Baseline = Callable[[ModelInput, Segmentation], Float32Array]


def _zero(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """0 mV in every lead, as the model sees 0 mV."""
    del segmentation
    return np.broadcast_to(model_input.zero, model_input.values.shape).astype(np.float32)


def _mean(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """Each lead's mean over its valid samples (padding does not count)."""
    del segmentation
    first, stop = model_input.valid
    mean = model_input.values[first:stop].mean(axis=0, dtype=np.float64)
    return np.broadcast_to(mean, model_input.values.shape).astype(np.float32)


def _linear(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """In each cell the straight line from its first to its last sample.

    It leaves no step at the borders of a masked cell, but it keeps the cell's drift: what happens
    inside is removed, the level is not.
    """
    signal = np.array(model_input.values, dtype=np.float32)
    for start, stop in zip(segmentation.edges[:-1], segmentation.edges[1:], strict=True):
        position = np.linspace(0.0, 1.0, int(stop - start))[:, None]
        ends = model_input.values[[start, stop - 1]].astype(np.float64)
        signal[start:stop] = ends[0] + position * (ends[1] - ends[0])
    return signal


def _whole(make: Callable[[ModelInput], Float32Array]) -> Baseline:
    """A baseline that does not depend on the segmentation, remembered for a few model inputs.

    A game asks for its baseline in every batch of coalitions, and finding beats takes longer than
    masking. What is remembered is a pure function of the model input.
    """
    known: OrderedDict[str, Float32Array] = OrderedDict()
    lock = Lock()

    def baseline(model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
        del segmentation
        about = [model_input.fs, list(model_input.leads), list(model_input.valid)]
        key = array_digest(model_input.values, extra=about)
        with lock:
            if key in known:
                return known[key]
        signal = make(model_input)
        signal.flags.writeable = False
        with lock:
            known[key] = signal
            while len(known) > _REMEMBERED:
                known.popitem(last=False)
        return signal

    return baseline


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "zero": _zero,
        "mean": _mean,
        "linear": _linear,
        "isoelectric": _whole(isoelectric),
        "noise": _whole(noise),
        "median_beat": _whole(median_beat),
    }
)


def baseline_signal(kind: str, model_input: ModelInput, segmentation: Segmentation) -> Float32Array:
    """The signal that masked cells are copied from.

    Parameters
    ----------
    kind
        ``"zero"``: 0 mV. ``"mean"``: each lead's mean over the samples that come from the record.
        ``"linear"``: in each cell the line between its first and last sample. ``"isoelectric"``:
        the line through the rests between T and QRS. ``"noise"``: noise with the record's own
        spectrum. ``"median_beat"``: a healthy beat at every R peak. The last three are described
        in :mod:`ecgxai_core.games.record_baselines`.
    model_input, segmentation
        What the model sees, and how its time is cut.

    Returns
    -------
    ``float32[sample, lead]`` in the model's units and lead order. It is independent of the
    coalition; samples outside every segment are never masked, so their values do not matter.

    Raises
    ------
    ParameterError
        There is no such baseline.
    """
    if kind not in BASELINES:
        raise ParameterError("baseline", kind, "no such baseline", f"use {', '.join(BASELINES)}")
    signal = BASELINES[kind](model_input, segmentation)
    signal.flags.writeable = False
    return signal
