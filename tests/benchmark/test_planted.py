"""Known truth: detectors whose attributions stand on paper, and a cheat that must be found out."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.benchmark.planted import planted_benchmark, unmasked
from ecgxai_core.benchmark.planted_models import MARK, SAMPLES, detector, simulated
from ecgxai_core.benchmark.tables import markdown, summary_table
from ecgxai_core.errors import ParameterError
from ecgxai_core.explain import explain
from ecgxai_core.params import ExplainParams

CODE = "164931005"


def made(mechanism, seed=3):
    simulation = simulated(mechanism, seed)
    names = mechanism if isinstance(mechanism, str) else mechanism[-1]
    mask = simulation.truth.mask_for(names).T[:SAMPLES]
    signal = np.ascontiguousarray(simulation.record.signal.T[:SAMPLES])
    return simulation, mask, signal, detector(signal, mask, CODE)


def test_a_detector_sees_its_evidence_and_nothing_else():
    _, mask, signal, classifier = made("st_elevation_anterior")
    rng = np.random.default_rng(0)
    elsewhere = np.where(mask, signal, rng.normal(size=signal.shape)).astype(np.float32)
    without = np.where(mask, 0, signal).astype(np.float32)
    intact, other, gone = classifier.predict(np.stack([signal, elsewhere, without]))[:, 0]
    assert intact == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-5)
    assert other == pytest.approx(intact, abs=1e-5)
    assert gone == pytest.approx(1 / (1 + np.exp(3)), abs=1e-5)


@pytest.mark.parametrize("method", ["timeshap", "occlusion", "integrated_gradients"])
def test_exact_attributions_of_a_detector_are_those_on_paper(method):
    simulation, mask, signal, classifier = made("st_elevation_anterior")
    params = ExplainParams(window_sec=0.5, top_events=20, occlusion_level="cell")
    found = explain(simulation.record, classifier, CODE, method, params)
    energy = np.where(mask, signal.astype(np.float64) ** 2, 0)
    paper = 6 * energy.reshape(20, 50, 12).sum(axis=1).T / energy.sum()
    assert np.abs(found.weights - paper).max() < 2e-3


def test_truth_is_ranked_first_and_the_cheat_is_unmasked(tmp_path):
    result = planted_benchmark(
        tmp_path, n=3, only=["shapley_exact", "occlusion", "lime_published"],
        models=("detector", "cheat"),
    )  # fmt: skip
    table = result.summary.set_index(["model", "method"])
    detectors = table.loc["detector"]["attauc"]
    assert detectors.idxmax() == "oracle"
    assert detectors["shapley_exact"] > detectors["lime_published"] > detectors["random"]
    assert detectors["empty"] == 0.5
    caught = unmasked(result.scores)
    assert caught["shapley_exact"]
    assert caught["occlusion"]
    assert caught["oracle"]
    assert not caught["empty"]
    assert not caught["random"]
    cheat = result.scores[result.scores["model"] == "cheat"]
    assert set(cheat["mechanism"]) == {MARK}


def test_a_method_that_is_not_there_is_named(tmp_path):
    says = r"there is no bogus.*choose from shapley_exact"
    with pytest.raises(ParameterError, match=says) as told:
        planted_benchmark(tmp_path, n=1, only=["occlusion", "bogus"], models=("detector",))
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_tables_count_and_bound():
    import pandas as pd

    scores = pd.DataFrame(
        {"method": ["a"] * 9 + ["b"] * 9, "score": [*range(9), *[5.0] * 8, np.nan]}
    )
    table = summary_table(scores, ("method",), ("score",))
    assert table["method"].tolist() == ["b", "a"]
    assert table["score"].tolist() == [5.0, 4.0]
    assert table["n"].tolist() == [9, 9]
    low, high = table["score_low"][1], table["score_high"][1]
    assert 2 < low < 4 < high < 6
    assert "| b | 5.000 (5.000 to 5.000), n = 8 | 9 |" in markdown(table, ("method",), ("score",))
