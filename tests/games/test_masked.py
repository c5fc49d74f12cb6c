"""One masking function, one memory."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import DiagnosisError
from ecgxai_core.games import MaskedModel, masked
from ecgxai_core.types import STANDARD_LEADS, Segmentation
from tests.analytic import TARGET, Analytic, manifest, model_input

EDGES = [50, 150, 250, 450]
CUT = Segmentation("uniform", np.array(EDGES), 100.0, -0.5)


def total(values):
    return values.sum(axis=(1, 2)) / 1000


def masks(n=40, seed=1):
    return np.random.default_rng(seed).random((n, 12, 3)) < 0.5


def model(leads=STANDARD_LEADS, score=total, baseline="zero"):
    given = model_input(500, (50, 450), leads)
    return MaskedModel(Analytic(score, manifest(leads)), given, TARGET, baseline)


@pytest.mark.parametrize("baseline", ["zero", "mean", "linear"])
def test_masked_records_are_made_cell_by_cell(baseline):
    shuffled = tuple(np.random.default_rng(3).permutation(STANDARD_LEADS).tolist())
    game = model(shuffled, baseline=baseline)
    keep = masks()
    game.probabilities(keep, CUT)
    made = np.concatenate(game.classifier.seen)
    filler = masked.baseline_signal(baseline, game.model_input, CUT)
    for row, mask in zip(made, keep, strict=True):
        expected = np.array(game.model_input.values)
        for i, lead in enumerate(STANDARD_LEADS):
            for j in range(3):
                if not mask[i, j]:
                    column, part = shuffled.index(lead), slice(EDGES[j], EDGES[j + 1])
                    expected[part, column] = filler[part, column]
        assert np.array_equal(row, expected)


def test_padding_is_never_touched():
    game = model()
    game.probabilities(np.zeros((1, 12, 3), bool), CUT)
    (made,) = game.classifier.seen
    assert np.array_equal(made[0, :50], game.model_input.values[:50])
    assert np.array_equal(made[0, 450:], game.model_input.values[450:])
    assert np.all(made[0, 50:450] == 0.25)


def test_lead_axis_follows_names_not_columns():
    def only_v1(values):
        return values[:, :, STANDARD_LEADS.index("V1")].mean(axis=1)

    shuffled = tuple(reversed(STANDARD_LEADS))
    game = model(shuffled, only_v1)
    keep = np.ones((12, 12, 3), bool)
    keep[np.arange(12), np.arange(12)] = False
    changed = game.probabilities(keep, CUT) != game.probability
    assert game.leads == STANDARD_LEADS
    assert changed.tolist() == [lead == "V1" for lead in STANDARD_LEADS]


def test_duplicates_are_evaluated_once_across_calls():
    game = model()
    keep = masks(10)
    first = game.probabilities(np.concatenate([keep, keep]), CUT)
    assert game.classifier.rows == 10 == game.forward_passes == game.evaluations
    again = game.probabilities(keep[::-1], CUT)
    assert game.classifier.rows == 10
    assert np.array_equal(first[:10], first[10:])
    assert np.array_equal(again, first[9::-1])


def test_intact_record_is_one_pass_whatever_the_segmentation():
    game = model()
    other = Segmentation("uniform", np.array([50, 450]), 100.0, -0.5)
    one = game.probabilities(np.ones((1, 12, 3), bool), CUT)[0]
    two = game.probabilities(np.ones((2, 12, 1), bool), other)
    assert game.classifier.rows == 1
    assert {one, *two.tolist(), game.probability} == {one}


def test_segmentations_do_not_share_masked_coalitions():
    game = model()
    other = Segmentation("uniform", np.array([50, 100, 200, 450]), 100.0, -0.5)
    keep = masks(5)
    assert np.all(game.probabilities(keep, CUT) != game.probabilities(keep, other))


@pytest.mark.parametrize("chunk", [1, 24_000 * 3, 10**9])
def test_chunks_do_not_change_a_bit(monkeypatch, chunk):
    expected = model().probabilities(masks(), CUT)
    monkeypatch.setattr(masked, "CHUNK_BYTES", chunk)
    game = model()
    assert np.array_equal(game.probabilities(masks(), CUT), expected)
    assert game.classifier.calls == -(-40 // max(1, chunk // 24_000))


def test_shared_memory_separate_counts():
    game = model()
    one, two = game.shared(), game.shared()
    one.probabilities(masks(8), CUT)
    two.probabilities(masks(8), CUT)
    two.probabilities(masks(3, seed=9), CUT)
    assert (one.forward_passes, two.forward_passes) == (8, 11)
    assert one.evaluations == two.evaluations == game.classifier.rows == 11


def test_baseline_probability_is_everything_masked():
    game = model()
    expected = model().probabilities(np.zeros((1, 12, 3), bool), CUT)[0]
    assert game.baseline_probability(CUT) == expected


def test_wrong_shape_and_unknown_target_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        model().probabilities(np.ones((2, 11, 3), bool), CUT)
    with pytest.raises(DiagnosisError, match="no such output"):
        MaskedModel(Analytic(total), model_input(), "10370003", "zero")
