"""With independent leads as players, chance is what is stated: derived leads are no places.

The truth is written down without the code under test: an additive model of eight players whose
cells are all worth the same, so that no order of cells is better than another.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.diagnoses import code_of, find_diagnosis
from ecgxai_core.metrics.complexity import complexity, gini
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.plausibility import localisation, plausibility
from ecgxai_core.metrics.raster import explorable_leads, raster_for, rasterise
from ecgxai_core.metrics.references import REFERENCES, oracle_map, time_shifted
from ecgxai_core.metrics.removal import removal
from ecgxai_core.metrics.road import road
from ecgxai_core.metrics.similarity import map_spearman
from ecgxai_core.params import EvaluationParams, FusionParams
from ecgxai_core.types import (
    STANDARD_LEADS,
    Attribution,
    ModelInput,
    Provenance,
    Segmentation,
)

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
ROWS = [STANDARD_LEADS.index(lead) for lead in EIGHT]
FS, N = 100.0, 20
AF = "164889003"
EDGES = np.arange(N + 1) * 0.4
GRID = Segmentation("uniform", np.arange(N + 1) * 40, FS, 0.0)


class Flat:
    """Eight players whose cells are all alike; the other four leads follow."""

    leads = STANDARD_LEADS
    player_rows = np.array(ROWS)

    def probabilities(self, keep, segmentation):
        assert keep.shape[1] == 12
        assert keep[:, [row for row in range(12) if row not in ROWS]].all()
        share = np.diff(segmentation.edges) / segmentation.edges[-1]
        return 0.1 + 0.8 * (keep[:, ROWS] * share).sum(axis=(1, 2)) / 8


def a_map(weights, method="lime", group="independent", explored=None):
    """Weights of the eight independent leads, or of all twelve."""
    values = np.zeros((12, N))
    seen = np.ones((12, N), bool) if group == "all" else np.isin(STANDARD_LEADS, EIGHT)[:, None]
    seen = np.broadcast_to(seen, (12, N)) if explored is None else explored
    values[ROWS if len(weights) == 8 else slice(None)] = weights
    return Attribution(
        "R", "164889003", method, 0.9, STANDARD_LEADS, EDGES, values, seen,
        Provenance("r", "m", {"lead_group": group}, 0, "0"), diagnostics={"lead_group": group},
    )  # fmt: skip


def by_name(scores):
    return {score.metric: score for score in scores}


def test_a_map_that_knows_nothing_is_at_chance():
    found = {}
    for seed in range(12):
        weights = np.random.default_rng(seed).random((8, N))  # positive: where zeros would be last
        maps = {"blind": a_map(weights)}
        params = EvaluationParams(seed=seed)
        scores = by_name(faithfulness(maps, Flat(), GRID, params)["blind"].scores)
        assert scores["deletion_gain"].value == pytest.approx(0, abs=1e-9)
        assert scores["deletion_auc"].value == pytest.approx(0.5)
        taken = by_name(removal(maps, Flat(), GRID, params)["blind"])["comprehensiveness"]
        assert taken.value == pytest.approx(taken.random)
        raster = raster_for(maps["blind"], 0.02)
        assert raster.leads == EIGHT
        mask = np.zeros((8, raster.n_bins), bool)
        mask[1, ::40] = mask[1, 1::40] = True
        drawn = rasterise(maps["blind"], raster)
        assert drawn.explored.all()
        for score in localisation(drawn, mask, 20, "truth"):
            found.setdefault(score.metric, []).append((score.value, score.random))
    auc, mass = np.mean(found["attauc_truth"], axis=0), np.mean(found["relevance_mass_truth"], 0)
    assert auc[0] == pytest.approx(0.5, abs=0.06)
    assert mass[0] == pytest.approx(mass[1], rel=0.15)


def test_a_game_that_says_nothing_has_all_rows():
    class Whole:
        leads = STANDARD_LEADS

        def probabilities(self, keep, segmentation):
            share = np.diff(segmentation.edges) / segmentation.edges[-1]
            return 0.1 + 0.8 * (keep * share).sum(axis=(1, 2)) / 12

    scores = faithfulness({"m": a_map(np.eye(12, N), group="all")}, Whole(), GRID,
                          EvaluationParams())["m"].scores  # fmt: skip
    assert by_name(scores)["deletion_auc"].value == pytest.approx(0.5)


def test_derived_leads_count_where_somebody_could_look():
    weights = np.random.default_rng(1).random((8, N))
    alone = a_map(weights)
    assert explorable_leads(alone) == EIGHT
    assert explorable_leads(a_map(weights, group="all")) == STANDARD_LEADS
    windows = a_map(weights, explored=np.ones((12, N), bool))
    assert explorable_leads(windows) == STANDARD_LEADS
    few = np.zeros((12, N), bool)
    few[0] = True  # independent leads that were not opened stay: someone could have
    assert explorable_leads(a_map(weights, explored=few)) == EIGHT


def test_fused_maps_ask_their_parts():
    from ecgxai_core.fusion import fuse

    rng = np.random.default_rng(2)
    lime, shap = a_map(rng.random((8, N))), a_map(rng.random((8, N)), "timeshap")
    slope = replace(a_map(rng.random((12, N)), "saliency", "all"), diagnostics={})
    assert explorable_leads(fuse([lime, shap], FusionParams())) == EIGHT
    assert explorable_leads(fuse([lime, slope], FusionParams())) == STANDARD_LEADS
    assert np.isfinite(map_spearman(lime, slope))
    assert map_spearman(lime, slope) == pytest.approx(map_spearman(slope, lime))


def test_reference_maps_stand_on_the_same_leads():
    item = a_map(np.random.default_rng(3).random((8, N)))
    for name, make in REFERENCES.items():
        made = make(item, 0)
        assert explorable_leads(made) == EIGHT, name
        assert not made.explored[[row for row in range(12) if row not in ROWS]].any(), name
    dealt = REFERENCES["lead_shuffled"](item, 0)
    assert sorted(dealt.weights[ROWS].sum(axis=1)) == pytest.approx(
        sorted(item.weights[ROWS].sum(axis=1))
    )
    later = time_shifted(item, 60.0)
    assert explorable_leads(later) == EIGHT
    assert later.weights[ROWS].sum() == pytest.approx(item.weights[ROWS].sum(), rel=1e-5)
    raster = raster_for(item, 0.02)
    mask = np.zeros((8, raster.n_bins), bool)
    mask[2, :20] = True  # V1
    best = oracle_map(item, mask)
    assert np.argwhere(np.nan_to_num(best.weights) > 0).tolist() == [
        [STANDARD_LEADS.index("V1"), 0]
    ]
    spread = rasterise(item, raster).scores
    assert by_name(complexity(item, EvaluationParams()))["gini"].value == gini(spread)


def limbs(order, obey=True):
    rng = np.random.default_rng(4)
    own = {lead: rng.normal(0, 1, N * 40) for lead in STANDARD_LEADS}
    if obey:
        one, two = own["I"], own["II"]
        own |= {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2}
        own |= {"aVF": two - one / 2}
    values = np.stack([own[lead] for lead in order], axis=1).astype(np.float32)
    return ModelInput(values, np.zeros(12, np.float32), FS, 0.0, (0, N * 40), order, "d")


@pytest.mark.parametrize("name", ["LAFB", "left axis deviation", "RAD", "low QRS voltages"])
def test_what_is_read_off_limb_leads_has_no_score_where_they_follow(name):
    """Evidence in aVL would count for I and II: every limb lead that is left would be right."""
    row, peaks = find_diagnosis(code_of(name)), np.arange(9) * 0.8 + 0.5
    weights = np.random.default_rng(6).random((8, N))
    for item, defined in ((a_map(weights), False), (a_map(weights, group="all"), True)):
        scores = by_name(plausibility(item, row, peaks, 75.0, EvaluationParams()))
        for kind in ("strict", "lenient"):
            assert np.isfinite(scores[f"attauc_{kind}"].value) == defined
            assert np.isfinite(scores[f"precision_{kind}"].value) == defined
    other = by_name(
        plausibility(a_map(weights), find_diagnosis(AF), peaks, 75.0, EvaluationParams())
    )
    assert np.isfinite(other["attauc_strict"].value), "V1 is a player beside II"
    assert np.isfinite(other["attauc_lenient"].value), "aVF among leads that stand by themselves"


def test_road_keeps_einthovens_law_where_leads_follow():
    order = tuple(reversed(STANDARD_LEADS))
    at = {lead: order.index(lead) for lead in order}
    given = limbs(order)
    seen = []

    def predict(values):
        seen.append(values)
        return np.full(len(values), 0.5)

    maps = {"m": a_map(np.random.default_rng(5).random((8, N)))}
    road(maps, predict, given, GRID, EvaluationParams())
    records = np.concatenate(seen)
    one, two = records[:, :, at["I"]], records[:, :, at["II"]]
    np.testing.assert_allclose(records[:, :, at["III"]], two - one, atol=1e-4)
    np.testing.assert_allclose(records[:, :, at["aVF"]], two - one / 2, atol=1e-4)
    np.testing.assert_allclose(records[:, :, at["aVR"]], -(one + two) / 2, atol=1e-4)
    changed = (records != given.values).mean(axis=1)
    assert (changed[:, at["I"]] > 0).any()
    seen.clear()
    road({"m": a_map(np.ones((12, N)), group="all")}, predict, given, GRID, EvaluationParams())
    alone = np.concatenate(seen)
    assert np.abs(alone[:, :, at["III"]] - alone[:, :, at["II"]] + alone[:, :, at["I"]]).max() > 0.5


def test_road_is_undefined_where_no_lead_can_follow():
    maps = {"m": a_map(np.ones((8, N)))}
    given = limbs(STANDARD_LEADS, obey=False)
    scores = road(maps, lambda v: np.full(len(v), 0.5), given, GRID, EvaluationParams())["m"]
    assert [score.metric for score in scores] == ["road_morf", "road_lerf", "road_gap"]
    assert all(np.isnan(score.value) and np.isnan(score.random) for score in scores)
