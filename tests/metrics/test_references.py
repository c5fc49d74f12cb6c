"""Reference maps: half a beat later, a template of R peaks; where they stand beside a score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.metrics import METRICS, Subject, evaluate
from ecgxai_core.metrics.base import BESIDE
from ecgxai_core.metrics.references import template_map, time_shifted
from ecgxai_core.params import EvaluationParams
from tests.metrics.planted import GRID, Additive, planted

PARAMS = EvaluationParams(deletion_steps=8)


def test_half_a_beat_later_moves_and_wraps(make_map) -> None:
    item = make_map(
        np.array([[0.0, 0.0, 0.0, 6.0], [1.0, 0.0, 0.0, 0.0]]),
        edges=np.arange(5) / 2,
        leads=("I", "II"),
    )
    later = time_shifted(item, 60.0)
    assert later.weights.tolist() == [[6.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    halved = time_shifted(item, 120.0)  # a quarter of a second is half of a segment
    assert halved.weights[0].tolist() == pytest.approx([3.0, 0.0, 0.0, 3.0])
    assert np.array_equal(later.edges_sec, item.edges_sec), "the grid of a metric stays"
    unknown = time_shifted(item, float("nan")).weights
    assert np.allclose(unknown, time_shifted(item, 75.0).weights)


def test_what_was_not_explored_moves_too(make_map) -> None:
    explored = np.array([[True, True, False, True]])
    item = make_map(
        np.array([[1.0, 2.0, 0.0, 4.0]]), edges=np.arange(5) / 2, explored=explored, leads=("I",)
    )
    later = time_shifted(item, 60.0)
    assert later.explored.tolist() == [[True, True, True, False]]
    assert later.weights[0, :3].tolist() == [4.0, 1.0, 2.0]


def test_the_template_is_the_share_near_r_peaks(make_map) -> None:
    item = make_map(np.ones((2, 4)), edges=np.arange(5) / 2, leads=("I", "II"))
    found = template_map(item, [0.25, 1.0])
    assert np.allclose(found.density(), [[0.2, 0.1, 0.1, 0.0]] * 2)


def test_scores_of_reference_maps_stand_beside_those_of_their_map() -> None:
    case = planted(0)
    oracle, random = case.maps["oracle"], case.maps["random"]
    beside = {"energy": random, "lead_shuffled": case.maps["lead_shuffled"]}
    subject = Subject({"oracle": oracle}, PARAMS, games={"all": Additive(case.effect)}, whole=GRID)
    alone = evaluate(subject).scores["oracle"]
    found = evaluate(replace(subject, references={"oracle": beside})).scores
    both = evaluate(replace(subject, maps={"oracle": oracle, "random": random})).scores
    assert set(found) == {"oracle"}, "reference maps are no rows"
    for name, score in alone.items():
        assert repr(replace(found["oracle"][name], beside={})) == repr(score), "nothing else moves"
    gain = found["oracle"]["deletion_gain"]
    assert gain.beside["energy"] == both["random"]["deletion_gain"].value < gain.value
    assert set(gain.beside) == set(beside)
    assert found["oracle"]["gini"].beside == {}


def test_only_comparable_metrics_have_reference_maps() -> None:
    assert METRICS["deletion_gain"].beside == BESIDE[:-1], "the template is for plausibility only"
    assert METRICS["attauc_strict"].beside == BESIDE
    for name in ("spearman", "gini", "coverage", "randomisation_similarity"):
        assert METRICS[name].beside == ()
