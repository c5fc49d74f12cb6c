"""The published token scores: the published numbers, and what is wrong with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.diagnoses import diagnosis
from ecgxai_core.fusion.published import spans_of
from ecgxai_core.metrics.published import (
    GROUP,
    targeted_deletion,
    token_attauc,
    token_scores,
    tokens_of,
)
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import STANDARD_LEADS, BoolArray, FloatArray, Segmentation

PEAKS = np.arange(10) * 0.9 + 0.5


@pytest.mark.data
def test_published_attauc_is_repeated(data_dir: Path) -> None:
    path = data_dir / "cinc2020_sample" / "reference_fusion.json"
    compared = 0
    for entry in json.loads(path.read_text(encoding="utf-8")):
        peaks = np.array(entry["r_peaks_sec"])
        rate = 60 / float(np.median(np.diff(peaks)))
        tokens = tokens_of(diagnosis(entry["target"]), peaks, rate)
        for fused in entry["fused"]:
            scores = token_scores(fused["spans"], tokens)
            found = {s.metric: s.value for s in token_attauc(scores, tokens, priors=True)}
            off, on = fused["attauc_priors_off"], fused["attauc_priors_on"]
            assert len(scores) == off["n_tokens"] == on["n_tokens"]
            for kind in ("strict", "lenient"):
                where = f"{entry['record']} {fused['settings']} {kind}"
                assert found[f"token_attauc_{kind}"] == pytest.approx(off[kind], abs=1e-6), where
                assert found[f"token_attauc_{kind}_priors"] == pytest.approx(on[kind], abs=1e-6), (
                    where
                )
                compared += 1
    assert compared == 16 * 6 * 2


@pytest.mark.parametrize(("code", "strict", "lenient"), [("164889003", 0.85, 0.625),
                                                         ("426783006", 0.85, 1.0)])  # fmt: skip
def test_an_empty_map_wins_with_priors(code: str, strict: float, lenient: float) -> None:
    tokens = tokens_of(diagnosis(code), PEAKS, 67.0)
    found = {s.metric: s for s in token_attauc(np.zeros(len(tokens.lead)), tokens, priors=True)}
    assert found["token_attauc_strict_priors"].value == pytest.approx(strict)
    assert found["token_attauc_lenient_priors"].value == pytest.approx(lenient)
    assert found["token_attauc_lenient_priors"].empty == pytest.approx(lenient)
    assert found["token_attauc_strict"].value == 0.5


def test_tokens_of_nothing() -> None:
    for tokens in (tokens_of(None, PEAKS, 70.0), tokens_of(diagnosis("426783006"), [], 70.0)):
        assert len(tokens.lead) == 0
        assert all(math.isnan(s.value) for s in token_attauc(token_scores({}, tokens), tokens))


def test_a_map_is_read_as_its_densities(make_map: Any) -> None:
    explored = np.zeros((12, 4))
    explored[1, :2] = 1
    item = make_map(np.full((12, 4), -2.0), explored=explored)
    spans = spans_of(item, item.density())
    assert spans == {"II": ((0.0, 0.5, -4.0), (0.5, 1.0, -4.0))}


class Plausible:
    """A model that looks at plausible leads of atrial fibrillation only, more and more later."""

    def __init__(self, leads: tuple[str, ...] = STANDARD_LEADS) -> None:
        self.leads = leads

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        used = diagnosis("164889003").lenient_leads
        use = np.isin(self.leads, used)[:, None] * (segmentation.edges[:-1] + 50.0)
        use = use * segmentation.durations
        return np.asarray(0.9 * (keep * use).sum(axis=(1, 2)) / use.sum())


def test_targeted_deletion_prefers_what_the_model_uses(make_map: Any) -> None:
    segmentation = Segmentation("uniform", np.arange(21) * 50, 100.0, 0.0)
    tokens = tokens_of(diagnosis("164889003"), PEAKS, 67.0)
    late = np.tile(np.arange(20.0), (12, 1))
    maps = {"good": make_map(late), "bad": make_map(20 - late), "empty": make_map(0 * late)}
    found = targeted_deletion(maps, tokens, Plausible(), segmentation, EvaluationParams())
    auc = {name: scores[0].value for name, scores in found.items()}
    gain = {name: scores[1].value for name, scores in found.items()}
    assert auc["good"] < auc["empty"] < auc["bad"] <= 0.27
    assert gain["good"] > gain["empty"] > gain["bad"] > 0
    assert found["empty"][0].value == found["empty"][0].empty == found["good"][0].empty
    again = targeted_deletion(maps, tokens, Plausible(), segmentation, EvaluationParams())
    assert again == found
    alone = targeted_deletion(
        {"good": maps["good"]}, tokens, Plausible(), segmentation, EvaluationParams()
    )
    assert alone["good"] == found["good"]


def test_a_model_of_fewer_leads_is_evaluated_on_them(make_map: Any) -> None:
    segmentation = Segmentation("uniform", np.arange(21) * 50, 100.0, 0.0)
    tokens = tokens_of(diagnosis("164889003"), PEAKS, 67.0)
    maps = {"m": make_map(np.tile(np.arange(20.0), (3, 1)), leads=("I", "II", "V3"))}
    game = Plausible(("I", "II", "V3"))
    found = targeted_deletion(maps, tokens, game, segmentation, EvaluationParams())
    assert found["m"][1].value > 0


def test_targeted_deletion_without_tokens_is_undefined(make_map: Any) -> None:
    segmentation = Segmentation("uniform", np.arange(21) * 50, 100.0, 0.0)
    tokens = tokens_of(None, PEAKS, 67.0)
    maps = {"m": make_map(np.ones((12, 20)))}
    found = targeted_deletion(maps, tokens, Plausible(), segmentation, EvaluationParams())
    assert all(math.isnan(score.value) for score in found["m"])
    named = {score.metric for score in found["m"]}
    assert named < {metric.name for metric in GROUP.metrics}
