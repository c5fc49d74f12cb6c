"""Which methods may stand as evidence beside each other.

LIME, TimeSHAP and the adapters of their libraries ask one question of the same masked records: how
does the prediction change when cells are replaced by this baseline? Run to the end, they agree
almost fully (on the published programme's records the top five of converged LIME and exact Shapley
values have a Jaccard index of 0.98), so a second one adds a vote and no evidence; what is wrong
with the masking is wrong in both. Gradients ask what an infinitely small change does, occlusion
what one part alone is worth, attention where the network says that it looks. Maps that agree across
such questions support each other. Occlusion shares its baseline with the perturbation methods, and
relevance propagation with epsilon = 0 is input x gradient where 0 mV is the 0 of the model's input
(normalised leads are propagated from their means).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgxai_core.explain import METHODS
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["RECOMMENDED", "family_warning", "same_family", "take_signs", "unsigned"]

RECOMMENDED: tuple[str, ...] = ("timeshap", "integrated_gradients", "occlusion")
"""Three questions, one method each, all signed: what to fuse where the published pair (LIME
and TimeSHAP) need not be repeated. Integrated gradients need the network itself."""


def same_family(methods: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more methods of one family, in the order given; unknown names are alone."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(methods):
        if name in METHODS:
            groups.setdefault(METHODS[name].family, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def family_warning(methods: Sequence[str]) -> str:
    """What to tell people of methods whose agreement is no evidence; empty if there are none."""
    groups = same_family(methods)
    if not groups:
        return ""
    kin = "; ".join(f"{' and '.join(group)} ({METHODS[group[0]].family})" for group in groups)
    return (
        f"{kin}: methods of one family ask one question, so their agreement is not independent "
        f"evidence. Fuse different families, for instance {', '.join(RECOMMENDED)}"
    )


def unsigned(methods: Sequence[str]) -> BoolArray:
    """``bool[method]``: methods whose weights are sizes without a sign."""
    return np.array([name in METHODS and not METHODS[name].signed for name in methods], np.bool_)


def take_signs(scaled: FloatArray, weights: FloatArray, without: BoolArray) -> FloatArray:
    """Give sizes the sign that the other methods find.

    Parameters
    ----------
    scaled
        ``float64[method, lead, cell]``; NaN where not explored.
    weights
        ``float64[method]``.
    without
        ``bool[method]``: methods without signs (:func:`unsigned`).

    Returns
    -------
    A copy in which a method without signs has, in each cell, the sign of the weighted mean of those
    with signs: it strengthens what they say and never contradicts it. Where they say nothing, and
    where no method has signs, sizes stay positive.
    """
    if not without.any() or without.all():
        return scaled
    mean = np.tensordot(weights[~without], np.nan_to_num(scaled[~without]), axes=1)
    result = scaled.copy()
    result[without] *= np.where(mean < 0, -1.0, 1.0)
    return result
