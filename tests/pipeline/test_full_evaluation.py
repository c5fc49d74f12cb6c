"""All metrics of one record at once."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.base import BESIDE, SIDE_TITLES
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import profile, profile_with
from ecgxai_core.pipeline import full_evaluation
from ecgxai_core.pipeline.full_evaluation import Depth, evaluate_all, weights_reachable
from ecgxai_core.records.read import read_record
from ecgxai_core.store.cache import open_store
from tests.analytic import Analytic
from tests.pipeline.conftest import QUICK
from tests.small import AF

TRUTH = {"II": [(0.4, 0.7), (1.2, 1.6)], "V1": [(0.4, 0.7)]}
WINDOW = "window_sec=1.0"


@pytest.fixture
def case(tiny_data, tiny_model):
    chosen = profile_with(profile("default").updated(methods=("lime",)), [*QUICK, WINDOW])
    return read_record(tiny_data / "T001.hea"), load_classifier(tiny_model), chosen


def test_every_map_has_every_score_beside_its_references(case, monkeypatch):
    record, classifier, chosen = case
    depth = Depth(noises=1)
    with open_store() as store:
        frame = evaluate_all(Case(record, classifier, AF), chosen, store, truth=TRUTH, depth=depth)
        monkeypatch.setattr(full_evaluation, "explained", None)  # nothing is computed again
        again = evaluate_all(Case(record, classifier, AF), chosen, store, truth=TRUTH, depth=depth)
    assert frame.equals(again)
    table = frame.set_index("method")
    references = ["random", "empty", *BESIDE, "oracle"]
    assert list(table.index) == ["lime", "fused", *references]
    assert table["reference"].tolist() == [False, False, *[True] * len(references)]
    said = [name for name in METRICS if name in table]
    for name in (
        "attauc_truth", "deletion_auc", "comprehensiveness", "infidelity", "road_gap", "gini",
        "spearman_noise", "spearman_gain", "max_sensitivity", "randomisation_similarity",
    ):  # fmt: skip
        assert name in said
        assert f"{name}_random" in table
    for name in said:
        beside = tuple(side for side in SIDE_TITLES if f"{name}_{side}" in table)
        assert beside == METRICS[name].columns
    for side in BESIDE[:-1]:  # what stands beside the fused map is what the reference map scores
        for name in ("deletion_gain", "attauc_strict", "road_gap"):
            assert table.loc["fused", f"{name}_{side}"] == table.loc[side, name], (side, name)
    oracle = table.loc["oracle"]
    assert oracle["attauc_truth"] == pytest.approx(oracle["attauc_truth_ceiling"])
    assert (table["attauc_truth"] <= oracle["attauc_truth"] + 1e-9).all()
    assert table.loc["empty", "attauc_truth"] == 0.5
    assert np.isnan(table.loc["random", "spearman_noise"])
    assert np.isfinite(table.loc["lime", "predictions_stayed"])
    assert isinstance(table.loc["lime", "sanity_flagged"], str)


def test_costly_tests_can_be_left_out(case):
    record, classifier, chosen = case
    depth = Depth(road=False, noises=0, sanity_stages=0)
    with open_store() as store:
        frame = evaluate_all(Case(record, classifier, AF), chosen, store, depth=depth)
    assert not {"road_gap", "spearman_noise", "randomisation_similarity", "attauc_truth"} & set(
        frame
    )
    assert {"comprehensiveness", "attauc_strict", "gini"} <= set(frame)


def test_only_a_keras_network_has_weights_to_randomise(tiny_model):
    """What ONNX Runtime or a plain function computes cannot be tested for sanity."""
    assert weights_reachable(load_classifier(tiny_model))
    assert not weights_reachable(Analytic(lambda x: x.sum(axis=(1, 2))))
