"""The planted benchmark: detectors with known attributions, and a cheat to be exposed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.audit import planted
from ecgxai_core.audit.benchmark_tables import markdown, summary_table
from ecgxai_core.audit.planted import (
    MARK,
    SAMPLES,
    detector,
    planted_benchmark,
    simulated,
    unmasked,
)
from ecgxai_core.case import Case
from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import explain
from ecgxai_core.params import ExplainParams

CODE = "164931005"


def made(mechanism, seed=3):
    simulation = simulated(mechanism, seed)
    names = mechanism if isinstance(mechanism, str) else mechanism[-1]
    mask = simulation.truth.mask_for(names).T[:SAMPLES]
    signal = np.ascontiguousarray(simulation.record.signal.T[:SAMPLES])
    return simulation, mask, signal, detector(signal, mask, CODE)


def test_a_detector_depends_only_on_its_evidence():
    _, mask, signal, classifier = made("st_elevation_anterior")
    rng = np.random.default_rng(0)
    elsewhere = np.where(mask, signal, rng.normal(size=signal.shape)).astype(np.float32)
    without = np.where(mask, 0, signal).astype(np.float32)
    intact, other, gone = classifier.predict(np.stack([signal, elsewhere, without]))[:, 0]
    assert intact == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-5)
    assert other == pytest.approx(intact, abs=1e-5)
    assert gone == pytest.approx(1 / (1 + np.exp(3)), abs=1e-5)


@pytest.mark.parametrize("method", ["timeshap", "occlusion", "integrated_gradients"])
def test_exact_methods_match_the_analytical_attributions_of_a_detector(method):
    simulation, mask, signal, classifier = made("st_elevation_anterior")
    params = ExplainParams(window_sec=0.5, top_events=20, occlusion_level="cell")
    found = explain(Case(simulation.record, classifier, CODE), method, params)
    energy = np.where(mask, signal.astype(np.float64) ** 2, 0)
    paper = 6 * energy.reshape(20, 50, 12).sum(axis=1).T / energy.sum()
    assert np.abs(found.weights - paper).max() < 2e-3


def test_the_oracle_ranks_first_and_the_cheat_is_exposed(tmp_path):
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


def test_another_seed_is_another_network(tmp_path, monkeypatch):
    trained = []

    def train(folder, seed):
        trained.append(seed)
        path = planted._network_file(folder, seed)
        path.with_suffix(".json").write_text("{}", "utf-8")
        return path

    monkeypatch.setattr(planted, "train_network", train)
    monkeypatch.setattr(planted, "load_classifier", lambda path: path.name)
    monkeypatch.setattr(planted, "_positive", lambda network, code, records, n: [network])
    used = [
        {case.classifier for case in planted._cases(tmp_path, ("network",), 1, seed, print)}
        for seed in (0, 1, 0)
    ]
    assert trained == [0, 1], "the first is reused"
    assert used == [{"network-0.keras"}, {"network-1.keras"}, {"network-0.keras"}]


def test_few_records_unmask_a_cheat_only_if_each_of_them_does():
    rows = {"all": [0.9, 0.8, 0.7], "most": [0.9, 0.8, -0.1], "alike": [0.9, 0.9, 0.9]}
    scores = pd.DataFrame(
        [("cheat", name, value) for name, values in rows.items() for value in values],
        columns=["model", "method", "pointing"],
    )
    assert unmasked(scores) == {"all": True, "most": False, "alike": True}


def test_an_unknown_method_is_refused_by_name(tmp_path):
    message = r"there is no bogus.*choose from shapley_exact"
    with pytest.raises(ParameterError, match=message) as caught:
        planted_benchmark(tmp_path, n=1, only=["occlusion", "bogus"], models=("detector",))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_summary_tables_have_means_intervals_and_counts():
    scores = pd.DataFrame(
        {"method": ["a"] * 11 + ["b"] * 11, "score": [*range(11), *[6.0] * 10, np.nan]}
    )
    table = summary_table(scores, ("method",), ("score",))
    assert table["method"].tolist() == ["b", "a"]
    assert table["score"].tolist() == [6.0, 5.0]
    assert table["n"].tolist() == [11, 11]
    low, high = table["score_low"][1], table["score_high"][1]
    assert 2 < low < 5 < high < 8
    assert "| b | 6.000, n = 10 | 11 |" in markdown(table, ("method",), ("score",))
