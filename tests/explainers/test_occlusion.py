"""Occlusion against masking by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.params import ExplainParams
from tests.analytic import OTHER, TARGET, Analytic, cell_energy, record

EDGES = list(range(0, 501, 100))
PARAMS = ExplainParams(window_sec=1.0)
MIX = np.random.default_rng(4).normal(size=(12, 5)) / 4


def score(values):
    energy = cell_energy(values, EDGES)
    return (energy * MIX).sum(axis=(1, 2)) + np.sin(energy[:, 0, 1] * energy[:, 3, 1]) - 0.3


def odds(signal, baseline):
    """Log-odds of the model for each cell, window and lead replaced, one at a time."""

    def value(lead, segment):
        changed = signal.copy()
        time = slice(EDGES[segment], EDGES[segment + 1]) if segment is not None else slice(None)
        rows = slice(None) if lead is None else slice(lead, lead + 1)
        changed[rows, time] = baseline[rows, time]
        p = Analytic(score).predict(changed.T[None].astype(np.float32))[0, 1].astype(np.float64)
        return np.log(p) - np.log1p(-p)

    intact = Analytic(score).predict(signal.T[None])[0, 1].astype(np.float64)
    whole = np.log(intact) - np.log1p(-intact)
    cells = np.array([[whole - value(lead, s) for s in range(5)] for lead in range(12)])
    windows = np.array([whole - value(None, s) for s in range(5)])
    leads = np.array([whole - value(lead, None) for lead in range(12)])
    return cells, windows, leads


@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_every_level_is_what_masking_by_hand_gives(baseline):
    of = record()
    mean = of.signal.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    flat = np.zeros_like(of.signal) if baseline == "zero" else np.repeat(mean, 500, axis=1)
    cells, windows, leads = odds(of.signal, flat)
    found = {
        level: explain(
            Case(of, Analytic(score), TARGET),
            "occlusion",
            PARAMS.updated(baseline=baseline, occlusion_level=level),
        )
        for level in ("cell", "window", "lead")
    }
    assert np.allclose(found["cell"].weights, cells, atol=1e-4)
    for item in found.values():
        assert item.explored.all()
        assert np.allclose(item.event_values, windows, atol=1e-4)
        assert np.allclose(list(item.diagnostics["lead_values"].values()), leads, atol=1e-4)
    assert np.allclose(found["window"].weights.sum(axis=0), windows, atol=1e-4)
    assert np.ptp(found["window"].weights, axis=0).max() == 0
    assert np.allclose(found["lead"].weights.sum(axis=1), leads, atol=1e-4)
    assert np.allclose(found["lead"].density() * 5, leads[:, None], atol=1e-4)


@pytest.mark.parametrize("level", ["cell", "window", "lead"])
def test_leads_that_follow_have_no_value_of_their_own(level):
    """III, aVR, aVL and aVF are never masked by themselves: nothing is said of them, not even 0."""
    of = record()
    one, two = of.signal[0], of.signal[1]
    signal = of.signal.copy()
    signal[2:6] = two - one, -(one + two) / 2, one - two / 2, two - one / 2
    of = replace(of, signal=signal)
    params = PARAMS.updated(lead_group="independent", occlusion_level=level)
    found = explain(Case(of, Analytic(score), TARGET), "occlusion", params)
    values = found.diagnostics["lead_values"]
    assert list(values) == ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
    changed = signal.copy()
    changed[6] = 0
    p = Analytic(score).predict(np.stack([signal.T, changed.T]))[:, 1].astype(np.float64)
    odds = np.log(p) - np.log1p(-p)
    assert values["V1"] == pytest.approx(odds[0] - odds[1], abs=1e-4)


def test_probability_link_loses_probability():
    found = explain(
        Case(record(), Analytic(score), TARGET), "occlusion", PARAMS.updated(link="probability")
    )
    changed = record().signal.copy()
    changed[4, 200:300] = 0
    p = Analytic(score).predict(np.stack([record().signal.T, changed.T]))[:, 1]
    assert found.weights[4, 2] == pytest.approx(p[0] - p[1], abs=1e-6)


def test_evidence_against_another_class_is_the_difference_of_the_log_odds():
    """The analytic model's other class has the opposite log-odds: the difference is twice one."""
    plain = explain(Case(record(), Analytic(score), TARGET), "occlusion", PARAMS)
    params = PARAMS.updated(contrast=OTHER)
    for method in ("occlusion", "lime", "timeshap"):
        one = explain(Case(record(), Analytic(score), TARGET), method, PARAMS.updated(top_events=5))
        two = explain(Case(record(), Analytic(score), TARGET), method, params.updated(top_events=5))
        assert np.allclose(two.weights, 2 * one.weights, atol=1e-3), method
        assert two.probability == one.probability
        assert two.provenance.params["contrast"] == OTHER
        assert "contrast" not in one.provenance.params
    assert plain.diagnostics["forward_passes"] == 1 + 5 + 12 + 60 + 1
