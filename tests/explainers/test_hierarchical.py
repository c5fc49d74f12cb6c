"""Levels owen and winter of TimeSHAP: every order by hand, adding up, and both roads to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.explainers.hierarchical import converged, relative_error
from ecgxai_core.explainers.prepared import segmentation_of
from ecgxai_core.games import MaskedModel
from ecgxai_core.games.links import to_link
from ecgxai_core.games.unions import beats_of
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import STANDARD_LEADS, Record, Segmentation
from tests.analytic import TARGET, Analytic, cell_energy, manifest, record
from tests.games.orders import hierarchical_values
from tests.small import AF, FS, SINUS, beats, write_model

EDGES = [0, 125, 250, 375, 500]
LEADS = STANDARD_LEADS[:3]
EFFECTS = np.random.default_rng(5).normal(size=(3, 4))


def bent(values):
    """Logit with interactions inside segments and between them."""
    energy = cell_energy(values, EDGES)
    column = (energy * EFFECTS).sum(axis=1)
    return np.tanh(column).sum(axis=1) + energy[:, 0, 1] * energy[:, 1, 2] - column[:, 0] ** 2 / 3


def three_leads():
    return Record("R", record().signal[:3], 100.0, LEADS)


def model():
    return Analytic(bent, manifest(LEADS))


def worth(link, segment, units):
    """Values of all coalitions of the leads of a segment (first) and unions of others."""
    n = 3 + len(units)
    on = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    keep = np.ones((2**n, 3, 4), bool)
    keep[:, :, segment] = on[:, :3]
    for place, unit in enumerate(units):
        keep[:, :, unit] = on[:, [3 + place], None]
    mask = np.repeat(keep, 125, axis=2).transpose(0, 2, 1)
    signal = (np.array(three_leads().signal.T)[None] * mask).astype(np.float32)
    return to_link(model().predict(signal)[:, 1].astype(float), link)


EXACT = ExplainParams(window_sec=1.25, level="owen", top_events=4, n_lead_coalitions=4096)


@pytest.mark.parametrize("link", ["probability", "logit"])
def test_owen_values_of_all_orders(link):
    found = explain(Case(three_leads(), model(), TARGET), "timeshap", EXACT.updated(link=link))
    assert found.diagnostics["exact"]
    assert found.diagnostics["relative_error"] == 0
    for segment in range(4):
        others = [[s] for s in range(4) if s != segment]
        expected = hierarchical_values(worth(link, segment, others), ((0, 1, 2), 3, 4, 5))[:3]
        assert np.allclose(found.weights[:, segment], expected, atol=1e-5)
    ends = to_link(np.array([found.probability, found.diagnostics["baseline_probability"]]), link)
    assert found.weights.sum() == pytest.approx(ends[0] - ends[1], abs=1e-5)
    assert np.allclose(found.weights.sum(axis=0), found.event_values, atol=1e-5)


def test_winter_values_of_all_orders(monkeypatch):
    from ecgxai_core.explainers import hierarchical

    monkeypatch.setattr(hierarchical, "beats_of", lambda cut: np.array([0, 0, 1, 2]))
    params = EXACT.updated(level="winter", n_coalitions=256)
    found = explain(Case(three_leads(), model(), TARGET), "timeshap", params)
    cases = {
        0: ([[1], [2], [3]], (((0, 1, 2), 3), 4, 5)),
        1: ([[0], [2], [3]], (((0, 1, 2), 3), 4, 5)),
        2: ([[0, 1], [3]], ((0, 1, 2), 3, 4)),
    }
    for segment, (units, tree) in cases.items():
        expected = hierarchical_values(worth("logit", segment, units), tree)[:3]
        assert np.allclose(found.weights[:, segment], expected, atol=1e-5)
    assert np.allclose(found.weights.sum(axis=0), found.event_values, atol=1e-5)
    ends = to_link(
        np.array([found.probability, found.diagnostics["baseline_probability"]]), "logit"
    )
    assert found.weights.sum() == pytest.approx(ends[0] - ends[1], abs=1e-5)


def smooth(values):
    """Twelve leads and ten segments that bend together."""
    energy = cell_energy(values, list(range(0, 501, 50)))
    effects = np.random.default_rng(6).normal(size=(12, 10)) / 6
    return np.tanh((energy * effects).sum(axis=(1, 2))) + (energy * effects).sum(axis=1).max(axis=1)


def test_within_a_budget_maps_add_up_and_errors_are_of_the_right_size():
    params = ExplainParams(
        window_sec=0.5, level="owen", top_events=10, n_coalitions=128, n_lead_coalitions=128
    )
    found = explain(Case(record(), Analytic(smooth), TARGET), "timeshap", params)
    ends = to_link(
        np.array([found.probability, found.diagnostics["baseline_probability"]]), "logit"
    )
    assert found.weights.sum() == pytest.approx(ends[0] - ends[1], abs=1e-5)
    assert np.allclose(found.weights.sum(axis=0), found.event_values, atol=1e-5)
    assert not found.diagnostics["exact"]
    more = params.updated(n_coalitions=1024, n_lead_coalitions=1024)
    better = explain(Case(record(), Analytic(smooth), TARGET), "timeshap", more)
    error = np.linalg.norm(found.weights - better.weights)
    claimed = np.sqrt((found.standard_errors.astype(float) ** 2).sum())
    assert 0.4 * claimed < error < 2.0 * claimed
    assert better.diagnostics["relative_error"] < found.diagnostics["relative_error"]
    strict = explain(
        Case(record(), Analytic(smooth), TARGET), "timeshap", params.updated(target_error=0.001)
    )
    assert not strict.diagnostics["converged"]


def test_sampling_goes_on_until_the_map_has_settled():
    params = ExplainParams(
        window_sec=0.5, level="owen", top_events=10, n_coalitions=64, max_coalitions=2048,
        n_lead_coalitions=32, max_lead_coalitions=2048, target_error=0.2,
    )  # fmt: skip
    found = explain(Case(record(), Analytic(smooth), TARGET), "timeshap", params)
    assert found.diagnostics["converged"]
    assert found.diagnostics["coalitions"]["lead"] > 10 * 32
    again = explain(Case(record(), Analytic(smooth), TARGET), "timeshap", params)
    assert again.weights.tobytes() == found.weights.tobytes()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load_classifier(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def ecg():
    return Record(name="T", signal=beats(75, 3), fs=FS, leads=STANDARD_LEADS)


LOCAL = ExplainParams(window_sec=0.6, level="owen", lead_group="independent")


@pytest.mark.parametrize("segments", ["uniform", "wave"])
@pytest.mark.parametrize("level", ["owen", "winter"])
def test_local_networks_and_sampling_agree(classifier, ecg, segments, level):
    """Columns are exact in one and estimated in the other; so are the leads."""
    params = LOCAL.updated(level=level, segments=segments, max_lead_coalitions=4096)
    local = explain(Case(ecg, classifier, AF), "timeshap", params)
    facts = local.diagnostics
    assert facts["engine"] == "local"
    assert facts["converged"]
    rows = [0, 1, 6, 7, 8, 9, 10, 11]
    assert local.explored[rows].all()
    assert not local.explored[[2, 3, 4, 5]].any()
    ends = to_link(np.array([local.probability, facts["baseline_probability"]]), "logit")
    assert np.nansum(local.weights) == pytest.approx(ends[0] - ends[1], abs=1e-4)
    assert np.allclose(np.nansum(local.weights, axis=0), local.event_values, atol=1e-5)
    budget = params.updated(
        engine="whole", top_events=3, n_coalitions=512, n_lead_coalitions=256,
        max_lead_coalitions=None,
    )  # fmt: skip
    sampled = explain(Case(ecg, classifier, AF), "timeshap", budget)
    opened = sampled.diagnostics["explored_events"]
    assert len(opened) == 3
    difference = (sampled.weights - local.weights)[:, opened]
    claimed = np.sqrt(np.nansum(sampled.standard_errors.astype(float) ** 2))
    claimed += np.sqrt(np.nansum(local.standard_errors.astype(float) ** 2))
    assert np.sqrt(np.nansum(difference**2)) < 3 * claimed + 1e-4


def test_a_contrast_is_the_difference_of_two_maps(classifier, ecg):
    one = explain(Case(ecg, classifier, AF), "timeshap", LOCAL)
    two = explain(Case(ecg, classifier, SINUS), "timeshap", LOCAL)
    both = explain(Case(ecg, classifier, AF), "timeshap", LOCAL.updated(contrast=SINUS))
    assert np.allclose(both.event_values, one.event_values - two.event_values, atol=1e-9)
    error = both.weights - (one.weights - two.weights)
    claimed = [np.nansum(part.standard_errors**2) for part in (one, two, both)]
    assert np.sqrt(np.nansum(error**2)) < 2 * np.sqrt(sum(claimed))


def test_passes_are_those_of_the_quads(classifier, ecg):
    """What is recomputed layer by layer counts by its operations, its bank included."""
    case = Case(ecg, classifier, AF)
    found = explain(case, "timeshap", LOCAL)
    facts = found.diagnostics
    rows = facts["coalitions"]["lead"] / (4 * len(found.event_values))
    model_input = case.model_input()
    game = MaskedModel(classifier, model_input, AF, "zero", lead_group="independent")
    quads = game.linear_game(segmentation_of(case, model_input, LOCAL), "logit").quads
    used = quads.columns + int(rows)
    assert quads.passes(used) == 4 * 2 * rows
    apart = 2  # the intact and the fully masked record
    assert facts["forward_passes"] == pytest.approx(4 + quads.work(used) + apart), "4: the table"
    assert quads.work(used) < quads.passes(used)


def test_relative_error_and_what_is_small_enough():
    values, variances = np.array([3.0, 4.0]), np.array([0.01, 0.01])
    assert relative_error(variances, values) == pytest.approx(np.sqrt(0.01 * 5.99) / 5, rel=1e-3)
    assert converged(variances, values, 0.05)
    assert not converged(variances, values, 0.04)
    assert converged(variances / 1e4, np.zeros(2), 0.05), "nearly nothing"
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.ones(2), np.zeros(2)) == np.inf


def test_beats_begin_with_p_or_with_a_qrs_that_has_none():
    labels = ("TP", "P", "PR", "QRS", "ST", "T", "TP", "QRS", "T", "TP", "P", "QRS")
    cut = Segmentation("wave", np.arange(13), 100.0, 0.0, labels)
    assert beats_of(cut).tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert beats_of(replace(cut, kind="uniform", labels=())).tolist() == list(range(12))
