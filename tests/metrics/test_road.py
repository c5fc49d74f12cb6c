"""ROAD: what is imputed, and that it tells the cells that a known model uses."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.metrics.road import NOISE, imputed, road
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import STANDARD_LEADS, ModelInput
from tests.metrics.planted import FS, GRID, planted

RNG = np.random.default_rng(1)
SIGNAL = RNG.normal(0.4, 1, (800, 12)).astype(np.float32)
GIVEN = ModelInput(SIGNAL, np.full(12, 0.3), FS, 0.0, (0, 800), STANDARD_LEADS, "d")
SILENT = np.zeros(SIGNAL.shape)


def test_a_hole_becomes_the_line_between_its_borders():
    removed = np.zeros((3, 12, 32), bool)
    removed[0, 1, 4:6] = True  # samples 100 to 149 of lead II
    removed[1, 1, :2] = True  # at the beginning
    removed[2, 1] = True  # the whole lead
    inner, start, whole = imputed(GIVEN, GRID, removed, SILENT)
    expected = np.interp(np.arange(100, 150), [99, 150], SIGNAL[[99, 150], 1])
    np.testing.assert_allclose(inner[100:150, 1], expected, atol=1e-6)
    np.testing.assert_allclose(start[:50, 1], SIGNAL[50, 1], atol=1e-6)
    np.testing.assert_allclose(whole[:, 1], 0.3, atol=1e-6)
    for out, hole in ((inner, slice(100, 150)), (start, slice(0, 50)), (whole, slice(None))):
        kept = np.ones(SIGNAL.shape, bool)
        kept[hole, 1] = False
        np.testing.assert_array_equal(out[kept], SIGNAL[kept])


def test_the_line_solves_rongs_equations_along_time():
    """Every imputed sample is the mean of its two neighbours."""
    removed = np.zeros((1, 12, 32), bool)
    removed[0, 3, [7, 8, 20]] = True
    (out,) = imputed(GIVEN, GRID, removed, SILENT)
    for start, stop in ((175, 225), (500, 525)):
        middle = out[start:stop, 3]
        around = (out[start - 1 : stop - 1, 3] + out[start + 1 : stop + 1, 3]) / 2
        np.testing.assert_allclose(middle, around, atol=1e-5)


def test_noise_lies_on_what_was_imputed_only():
    removed = np.zeros((1, 12, 32), bool)
    removed[0, 5, 10] = True
    (out,) = imputed(GIVEN, GRID, removed, SILENT + 7)
    assert np.abs(out[250:275, 5] - 7).max() < 5
    assert (out != SIGNAL).sum() == 25


def test_noise_is_the_published_share_of_each_leads_spread():
    """Imputed samples scatter around the line by 1 % of the lead's own spread."""
    spread = np.linspace(0.5, 6, 12)
    loud = ModelInput(
        (SIGNAL * spread).astype(np.float32), np.zeros(12), FS, 0.0, (0, 800), STANDARD_LEADS, "d"
    )
    blank = planted(0).maps["empty"]
    seen = []

    def predict(values):
        seen.append(values)
        return np.full(len(values), 0.5)

    road({"empty": blank}, predict, loud, GRID, EvaluationParams())
    records = np.concatenate(seen)
    inner = np.arange(2, 798)
    for lead in (0, 11):
        column = records[:, :, lead].astype(np.float64)
        gone = column != loud.values[:, lead]
        curved = column[:, inner] * 2 - column[:, inner - 1] - column[:, inner + 1]
        whole = gone[:, inner] & gone[:, inner - 1] & gone[:, inner + 1]
        within = np.abs(curved[whole]) < 0.5 * loud.values[:, lead].std()  # no border of a hole
        scatter = curved[whole][within].std() / np.sqrt(6)  # of 2a - b - c, lines drop out
        assert scatter / loud.values[:, lead].std() == pytest.approx(0.01, rel=0.1)
    assert NOISE == 0.01


def energy_of(effect):
    """Probability by how much a model's cells swing: removing one takes its swing away."""
    samples = np.repeat(effect > 0, np.diff(GRID.edges), axis=1).T

    def predict(values):
        swing = np.square(values - 0.4) * samples
        return swing.sum(axis=(1, 2)) / (2 * samples.sum())

    return predict


def test_oracle_above_random_and_wrong_maps():
    gaps = {}
    for seed in range(6):
        record = planted(seed)
        found = road(record.maps, energy_of(record.effect), GIVEN, GRID, EvaluationParams())
        for name, scores in found.items():
            morf, lerf, gap = scores
            assert gap.value == pytest.approx(lerf.value - morf.value)
            assert gap.random == gap.empty == 0
            gaps.setdefault(name, []).append(gap.value)
    mean = {name: np.mean(values) for name, values in gaps.items()}
    assert mean["empty"] == mean["constant"] == 0
    assert abs(mean["random"]) < 0.04
    assert mean["oracle"] > 0.08
    assert mean["lead_shuffled"] < 0.05
    assert mean["time_reversed"] < mean["oracle"]
