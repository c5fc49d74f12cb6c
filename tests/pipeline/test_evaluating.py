"""All metrics of one record at once."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.base import SIDES
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import profile, profile_with
from ecgxai_core.pipeline import evaluating
from ecgxai_core.pipeline.evaluating import Depth, evaluate_all
from ecgxai_core.pipeline.stores import open_store
from ecgxai_core.records.read import read_record
from tests.pipeline.conftest import QUICK
from tests.small import AF

TRUTH = {"II": [(0.4, 0.7), (1.2, 1.6)], "V1": [(0.4, 0.7)]}
WINDOW = "window_sec=1.0"


@pytest.fixture
def case(tiny_data, tiny_model):
    chosen = profile_with(profile("default"), [*QUICK, WINDOW])
    return read_record(tiny_data / "T001.hea"), load_classifier(tiny_model), chosen


def test_every_map_has_every_score_beside_its_references(case, monkeypatch):
    record, classifier, chosen = case
    depth = Depth(noises=1)
    with open_store() as store:
        frame = evaluate_all(
            record, classifier, AF, chosen, store, methods=["lime"], truth=TRUTH, depth=depth
        )
        monkeypatch.setattr(evaluating, "explained", None)  # nothing is computed again
        again = evaluate_all(
            record, classifier, AF, chosen, store, methods=["lime"], truth=TRUTH, depth=depth
        )
    assert frame.equals(again)
    table = frame.set_index("method")
    assert list(table.index) == ["lime", "fused", "random", "empty", "lead_shuffled", "oracle"]
    assert table["reference"].tolist() == [False, False, True, True, True, True]
    said = [name for name in METRICS if name in table]
    for name in (
        "attauc_truth", "deletion_auc", "comprehensiveness", "infidelity", "road_gap", "gini",
        "spearman_noise", "spearman_gain", "max_sensitivity", "randomisation_similarity",
    ):  # fmt: skip
        assert name in said
        assert f"{name}_random" in table
    for name in said:
        beside = [side for side in SIDES if f"{name}_{side}" in table]
        assert beside == [side for side in SIDES if side in METRICS[name].sides]
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
        frame = evaluate_all(record, classifier, AF, chosen, store, methods=["lime"], depth=depth)
    assert not {"road_gap", "spearman_noise", "randomisation_similarity", "attauc_truth"} & set(
        frame
    )
    assert {"comprehensiveness", "attauc_strict", "gini"} <= set(frame)
