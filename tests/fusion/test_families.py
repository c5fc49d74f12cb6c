"""Families of methods, and what an unsigned map adds to a fusion."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import METHODS
from ecgxai_core.fusion import RECOMMENDED, family_warning, fuse, same_family
from ecgxai_core.params import FusionParams
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance

MEAN = FusionParams(agg="mean")


def attribution(method, weights, **params):
    values = np.asarray(weights, np.float32)
    return Attribution(
        record="r",
        target="164889003",
        method=method,
        probability=0.9,
        leads=STANDARD_LEADS[: len(values)],
        edges_sec=np.arange(values.shape[1] + 1.0),
        weights=values,
        explored=np.ones(values.shape, np.bool_),
        provenance=Provenance("d", "m", params, 0, "0"),
    )


def test_recommended_methods_are_of_different_families():
    assert len({METHODS[name].family for name in RECOMMENDED}) == len(RECOMMENDED)
    assert family_warning(RECOMMENDED) == ""
    assert all(METHODS[name].signed for name in RECOMMENDED)


def test_methods_of_one_family_are_named():
    assert same_family(("lime", "occlusion", "timeshap", "lime", "mine")) == (("lime", "timeshap"),)
    told = family_warning(("lime", "timeshap"))
    assert told.startswith("lime and timeshap (perturbation)")
    assert "integrated_gradients" in told


def test_a_fused_map_lists_its_methods_of_one_family():
    maps = [attribution(name, [[1.0, 2.0]]) for name in ("lime", "timeshap", "saliency")]
    assert fuse(maps, MEAN).diagnostics["same_family"] == [["lime", "timeshap"]]
    assert fuse(maps[1:], MEAN).diagnostics["same_family"] == []


def test_unsigned_weights_take_the_sign_of_the_signed_methods():
    signed = attribution("occlusion", [[1.0, -1.0, 0.0]])
    sizes = attribution("saliency", [[0.5, 1.0, 0.25]])
    fused = fuse([signed, sizes], MEAN)
    assert np.allclose(fused.weights, [[0.75, -1.0, 0.125]])
    assert fused.agreement.tolist() == [[2, 2, 1]]
    alone = fuse([sizes, attribution("grad_cam", [[0.0, 1.0, 0.5]])], MEAN)
    assert np.allclose(alone.weights, [[0.25, 1.0, 0.375]])


def test_signs_come_from_the_weighted_mean_of_signed_methods():
    one, two = attribution("lime", [[1.0]]), attribution("occlusion", [[-1.0]])
    sizes = attribution("saliency", [[1.0]])
    for weights, sign in (((3.0, 1.0, 1.0), 1), ((1.0, 3.0, 1.0), -1)):
        fused = fuse([one, two, sizes], MEAN.updated(method_weights=weights))
        assert np.sign(fused.weights[0, 0]) == sign


def test_maps_with_different_contrasts_are_not_fused():
    one = attribution("lime", [[1.0]], contrast="426783006")
    with pytest.raises(ParameterError, match="disagree"):
        fuse([one, attribution("occlusion", [[1.0]])], MEAN)
