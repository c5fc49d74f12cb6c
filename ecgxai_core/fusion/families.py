"""Families of methods: agreement across families supports a map, agreement within one does not.

LIME, TimeSHAP and the adapters of their libraries measure the same thing on the same masked
records: how the prediction changes when cells are replaced by the baseline. Converged, they agree
almost fully (on the records of the published programme the top five of converged LIME and exact
Shapley values have a Jaccard index of 0.98), so a second one adds no evidence and has the same
masking artefacts. Gradients measure the effect of an infinitesimal change, occlusion that of one
part alone; attention is a weight inside the network. Two limits: occlusion shares its baseline with
the perturbation methods, and relevance propagation with epsilon = 0 is input x gradient where 0 mV
is the 0 of the model input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgxai_core.explainers import METHODS
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["RECOMMENDED", "family_warning", "same_family", "take_signs", "unsigned"]

RECOMMENDED: tuple[str, ...] = ("timeshap", "integrated_gradients", "occlusion")
"""One signed method of each of three families: what to fuse unless the published pair (LIME and
TimeSHAP) is to be repeated. Integrated gradients need the network itself."""


def same_family(methods: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more methods of one family, in the order given; unknown names are alone."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(methods):
        if name in METHODS:
            groups.setdefault(METHODS[name].family, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def family_warning(methods: Sequence[str]) -> str:
    """A warning about methods of one family; empty if there are none."""
    groups = same_family(methods)
    if not groups:
        return ""
    said = "; ".join(f"{' and '.join(group)} ({METHODS[group[0]].family})" for group in groups)
    return (
        f"{said}: methods of one family measure the same thing, so their agreement is not "
        f"independent evidence. Fuse different families, for instance {', '.join(RECOMMENDED)}"
    )


def unsigned(methods: Sequence[str]) -> BoolArray:
    """``bool[method]``: methods whose weights are magnitudes."""
    return np.array([name in METHODS and not METHODS[name].signed for name in methods], np.bool_)


def take_signs(scaled: FloatArray, weights: FloatArray, without: BoolArray) -> FloatArray:
    """Give unsigned weights the sign that the signed methods agree on.

    Parameters
    ----------
    scaled
        ``float64[method, lead, cell]``; NaN where not explored.
    weights
        ``float64[method]``.
    without
        ``bool[method]``: unsigned methods (:func:`unsigned`).

    Returns
    -------
    A copy in which an unsigned method has, in each cell, the sign of the weighted mean of the
    signed ones, so that it never disagrees with them. Where that mean is 0, and where no method is
    signed, magnitudes stay positive.
    """
    if not without.any() or without.all():
        return scaled
    mean = np.tensordot(weights[~without], np.nan_to_num(scaled[~without]), axes=1)
    result = scaled.copy()
    result[without] *= np.where(mean < 0, -1.0, 1.0)
    return result
