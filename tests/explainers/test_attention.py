"""Attention: mass is kept, axes are recognised, and a model without attention is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers import explain
from ecgxai_core.explainers.attention import attention_map
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams
from tests.analytic import record
from tests.explainers.networks import LEADS, OTHER, SAMPLES, TARGET, attentive, loaded, smooth

PARAMS = ExplainParams(window_sec=0.25)


@pytest.fixture(scope="module")
def looking(tmp_path_factory):
    names = {"probability": "probability", "attention": ("temporal_attention", "lead_attention")}
    return loaded(attentive(), tmp_path_factory.mktemp("attentive"), outputs=names)


def test_map_is_the_product_of_both_attentions(looking):
    found = explain(Case(record(2.0), looking, TARGET), "attention", PARAMS)
    given = looking.attention(prepare(record(2.0), looking.manifest).values[None])
    moments, leads = given["temporal_attention"][0], given["lead_attention"][0]
    assert moments.shape == (25, 3)  # eight samples a moment, three and an eighth a segment
    by_sample = np.repeat(moments / 8, 8, axis=0) * leads
    expected = (
        by_sample.reshape(8, 25, 3).sum(axis=1).T[[LEADS.index(x) for x in ("I", "II", "V2")]]
    )
    assert np.allclose(found.weights, expected, rtol=1e-4)
    assert found.weights.sum() == pytest.approx(1, abs=1e-5)
    assert found.diagnostics["target_independent"]
    other = explain(Case(record(2.0), looking, OTHER), "attention", PARAMS)
    assert np.array_equal(found.weights, other.weights)


def test_moments_that_share_a_sample_keep_their_mass():
    rng = np.random.default_rng(0)
    moments = rng.random((7, 3))
    found, used = attention_map({"a": moments[None].astype(np.float32)}, SAMPLES, 3)
    assert used == {"a": ["moment", "lead"]}
    assert np.allclose(found.sum(axis=0), moments.sum(axis=0), rtol=1e-6)
    assert np.allclose(found[:28], moments[0] / (SAMPLES / 7), rtol=1e-6)


def test_one_attention_leaves_the_other_axis_even():
    leads = np.array([[0.5, 0.3, 0.2]], np.float32)
    found, used = attention_map({"leads": leads}, 10, 3)
    assert used == {"leads": ["lead"]}
    assert np.allclose(found, leads / 10)
    moments = np.array([[0.75, 0.25]], np.float32)
    found, used = attention_map({"moments": moments}, 10, 3)
    assert used == {"moments": ["moment"]}
    assert np.allclose(found, np.repeat([0.75, 0.25], 5)[:, None] / 5 / 3)


def test_refusals(looking, tmp_path):
    plain = loaded(smooth(), tmp_path)
    with pytest.raises(ExplanationError, match="names no attention outputs"):
        explain(Case(record(2.0), plain, TARGET), "attention", PARAMS)
    with pytest.raises(ExplanationError, match="it has no contrast"):
        explain(Case(record(2.0), looking, TARGET), "attention", PARAMS.updated(contrast=OTHER))
    assert attention_map({"odd": np.ones((1, 4, 4, 4), np.float32)}, 10, 3)[1] == {}
