"""TimeSHAP against the ``shap`` package's exact explainer, and its levels."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.explainers.timeshap import published_shapley_weights
from ecgxai_core.games.links import to_link
from ecgxai_core.games.regression import weighted_ridge
from ecgxai_core.games.sampling import published_shapley_coalitions
from ecgxai_core.params import ExplainParams, profile
from ecgxai_core.types import STANDARD_LEADS, Record
from tests.analytic import TARGET, Analytic, cell_energy, manifest, record

EDGES = [0, 125, 250, 375, 500]
LEADS = STANDARD_LEADS[:6]
EFFECTS = np.random.default_rng(5).normal(size=(6, 4)) / 2


def bent(values):
    """Logit with interactions of two and of many cells."""
    energy = cell_energy(values, EDGES)
    column = (energy * EFFECTS).sum(axis=1)
    pairs = energy[:, 0, 1] * energy[:, 1, 1] - 0.5 * energy[:, 2, 3] * energy[:, 4, 0]
    return np.tanh(column).sum(axis=1) + 0.4 * pairs


def six_leads() -> Record:
    return Record("R", record().signal[:6], 100.0, LEADS)


def model():
    return Analytic(bent, manifest(LEADS))


def masked_records(keep):
    """``keep`` is ``bool[n, lead, segment]``; four equal segments."""
    mask = np.repeat(keep, 125, axis=2).transpose(0, 2, 1)
    return (np.array(six_leads().signal.T)[None] * mask).astype(np.float32)


def exact_by_shap(value, n, link):
    """The ``shap`` package on a function of on/off players.

    The logit is taken here: the package's own link is for averages over background samples, and
    divides by zero where a coalition is worth what the background is.
    """
    import shap

    def linked(masks):
        p = value(masks)
        return np.log(p / (1 - p)) if link == "logit" else p

    masker = shap.maskers.Independent(np.zeros((1, n)))
    return shap.explainers.Exact(linked, masker)(np.ones((1, n))).values[0]


@pytest.mark.parametrize("link", ["probability", "logit"])
def test_event_and_lead_games_equal_shaps_exact_explainer(link):
    params = ExplainParams(window_sec=1.25, link=link, top_events=4)
    found = explain(Case(six_leads(), model(), TARGET), "timeshap", params)
    assert found.diagnostics["exact"]

    def events(masks):
        keep = np.repeat(masks.astype(bool)[:, None, :], 6, axis=1)
        return model().predict(masked_records(keep))[:, 1].astype(float)

    assert np.allclose(found.event_values, exact_by_shap(events, 4, link), atol=1e-5)
    for segment in range(4):

        def leads(masks, segment=segment):
            keep = np.ones((len(masks), 6, 4), bool)
            keep[:, :, segment] = masks.astype(bool)
            return model().predict(masked_records(keep))[:, 1].astype(float)

        expected = exact_by_shap(leads, 6, link)
        assert np.allclose(found.weights[:, segment], expected, atol=1e-5)


@pytest.mark.parametrize("link", ["probability", "logit"])
def test_cell_game_equals_shaps_exact_explainer(link):
    """Two open events of two leads and two closed events: six players."""
    two = LEADS[:2]
    params = ExplainParams(
        window_sec=1.25, link=link, top_events=2, level="cell", n_lead_coalitions=100
    )

    def score(values):
        energy = cell_energy(values, EDGES)
        return np.tanh(energy[:, 0]).sum(axis=1) * energy[:, 1, 1] - energy[:, 1, 3]

    given = Record("R", record().signal[:2], 100.0, two)
    found = explain(Case(given, Analytic(score, manifest(two)), TARGET), "timeshap", params)
    opened = sorted(found.diagnostics["explored_events"])
    closed = [s for s in range(4) if s not in opened]

    def cells(masks):
        masks = masks.astype(bool)
        keep = np.zeros((len(masks), 2, 4), bool)
        keep[:, :, opened] = masks[:, :4].reshape(-1, 2, 2)
        keep[:, :, closed] = masks[:, None, 4:]
        mask = np.repeat(keep, 125, axis=2).transpose(0, 2, 1)
        signal = (np.array(given.signal.T)[None] * mask).astype(np.float32)
        return Analytic(score, manifest(two)).predict(signal)[:, 1].astype(float)

    expected = exact_by_shap(cells, 6, link)[:4].reshape(2, 2)
    assert found.diagnostics["exact"]
    assert np.allclose(found.weights[:, opened], expected, atol=1e-5)
    assert found.diagnostics["cell_game"]["players"] == 6
    assert np.isnan(found.weights[:, closed]).all()


def test_efficiency_on_the_link_scale():
    params = ExplainParams(window_sec=0.25, n_coalitions=128, n_lead_coalitions=64)
    found = explain(Case(six_leads(), model(), TARGET), "timeshap", params)
    ends = to_link(
        np.array([found.probability, found.diagnostics["baseline_probability"]]), "logit"
    )
    assert found.event_values.sum() == pytest.approx(ends[0] - ends[1], abs=1e-9)
    assert found.diagnostics["efficiency_gap"] < 1e-9


def test_cell_level_with_all_events_open_covers_the_grid():
    params = ExplainParams(window_sec=1.25, top_events=99, level="cell")
    found = explain(Case(six_leads(), model(), TARGET), "timeshap", params)
    assert found.explored.all()
    assert found.diagnostics["cell_game"]["players"] == 24
    worth = found.weights.sum(dtype=float)
    assert worth == pytest.approx(found.event_values.sum(), abs=1e-4)


def test_published_recipe_by_hand():
    params = profile("reference").timeshap.updated(window_sec=0.5)
    found = explain(Case(six_leads(), model(), TARGET), "timeshap", params)
    from ecgxai_core.types import content_seed

    seed = content_seed(six_leads().digest, TARGET, ["timeshap", "event"], 42)
    masks = published_shapley_coalitions(10, 100, np.random.default_rng(seed)).masks
    assert np.bincount(masks.sum(axis=1)).tolist() == [1] + [9] * 9 + [1]
    signal = np.array(six_leads().signal.T)[None] * np.repeat(masks, 50, axis=1)[:, :, None]
    logit = to_link(model().predict(signal.astype(np.float32))[:, 1], "logit")
    size = masks.sum(axis=1)
    with np.errstate(divide="ignore"):
        weights = np.where((size == 0) | (size == 10), 1000.0, 9 / (size * (10.0 - size)))
    _, expected = weighted_ridge(masks, logit, weights, 0.001)
    assert np.allclose(found.event_values, expected, atol=1e-6)
    assert found.explored.sum() == 25


def test_published_weights():
    drawn = published_shapley_coalitions(5, 6, np.random.default_rng(0))
    weights = published_shapley_weights(drawn)
    assert weights.tolist() == pytest.approx([1000, 4 / 4, 4 / 6, 4 / 6, 4 / 4, 1000])
