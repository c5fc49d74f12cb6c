"""The published span fusion: results of the published programme, and each of its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion import fuse_published, fuse_spans, spans_of
from ecgxai_core.params import FusionParams
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance

RAW = FusionParams(tau=0.0, scale="lead")


@pytest.fixture(scope="module")
def reference(data_dir: Path) -> list[dict[str, Any]]:
    """16 records with their published spans and the published fusion under six settings."""
    text = (data_dir / "cinc2020_sample" / "reference_fusion.json").read_text(encoding="utf-8")
    return list(json.loads(text))


@pytest.mark.data
def test_published_fusion_is_repeated(reference: list[dict[str, Any]]) -> None:
    compared = 0
    for entry in reference:
        for expected in entry["fused"]:
            settings = dict(expected["settings"])
            weights = settings.pop("method_weights", None)
            result = fuse_spans(
                [entry["lime"], entry["timeshap"]],
                FusionParams(scale="lead").updated(**settings),
                weights,
                [entry["lime_lead_scores"], entry["timeshap_lead_scores"]],
            )
            where = f"{entry['record']} {settings}"
            assert set(result.spans) == set(expected["spans"]), where
            for lead, spans in expected["spans"].items():
                np.testing.assert_allclose(result.spans[lead], spans, atol=1e-6, err_msg=where)
            assert set(result.lead_scores) == set(expected["lead_scores"]), where
            for lead, score in expected["lead_scores"].items():
                assert result.lead_scores[lead] == pytest.approx(score, abs=1e-6), where
            assert list(result.top_leads) == expected["top_leads"], where
            compared += 1
    assert compared == 16 * 6


@pytest.mark.data
def test_lead_scores_default_to_the_sum_of_weights(reference: list[dict[str, Any]]) -> None:
    entry = reference[0]
    given = fuse_spans(
        [entry["lime"], entry["timeshap"]],
        RAW,
        None,
        [entry["lime_lead_scores"], entry["timeshap_lead_scores"]],
    )
    own = fuse_spans([entry["lime"], entry["timeshap"]], RAW)
    assert own.lead_scores == pytest.approx(dict(given.lead_scores))


def test_one_method_alone_is_scaled_by_beta() -> None:
    result = fuse_spans([{"II": [[0, 1, -2.0]]}, {"V1": [[0, 1, 4.0]]}], RAW.updated(beta=0.35))
    assert result.spans["II"] == ((0, 1, pytest.approx(-0.35)),)
    assert result.spans["V1"] == ((0, 1, pytest.approx(0.35)),)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("penalize", 0.25 * (1.0 - 0.5)), ("drop", None), ("abs", np.sqrt(0.5))],
)
def test_opposite_signs(policy: str, expected: float | None) -> None:
    lime = {"II": [[0, 1, 2.0], [1, 2, 1.0]]}
    timeshap = {"II": [[0, 1, -3.0], [5, 6, 6.0]]}
    spans = fuse_spans([lime, timeshap], RAW.updated(sign_policy=policy)).spans["II"]
    found = [level for start, _, level in spans if start == 0]
    assert found == ([] if expected is None else [pytest.approx(expected)])


def test_neighbours_of_almost_equal_level_merge_by_duration() -> None:
    lime = {"II": [[0, 1, 1.0], [1.02, 1.52, 0.9], [1.54, 2.0, 0.5], [2.1, 2.2, 0.5]]}
    spans = fuse_spans([lime, lime], RAW).spans["II"]
    assert spans[0] == (0, 1.52, pytest.approx((1.0 * 1 + 0.9 * 0.5) / 1.5))
    assert spans[1:] == ((1.54, 2.0, pytest.approx(0.5)), (2.1, 2.2, pytest.approx(0.5)))


def test_leads_of_equal_mass_rank_by_name() -> None:
    lime = {lead: [[0, 1, 1.0]] for lead in ("V2", "aVF", "II", "V1")}
    assert fuse_spans([lime, lime], RAW.updated(topk=3)).top_leads == ("II", "V1", "V2")


def test_weights_must_fit_the_methods() -> None:
    with pytest.raises(ParameterError, match="method_weights"):
        fuse_spans([{"II": [[0, 1, 1.0]]}], RAW, [0.5, 0.5])


def _attribution(method: str, seed: int) -> Attribution:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(12, 6)).astype(np.float32)
    explored = rng.random((12, 6)) < 0.6
    origin = Provenance("r", "m", {}, seed, "0")
    edges = np.arange(7) * 0.5
    return Attribution(
        "rec", "426783006", method, 0.9, STANDARD_LEADS, edges, weights, explored, origin
    )


def test_map_has_the_levels_of_the_spans() -> None:
    lime, timeshap = _attribution("lime", 1), _attribution("timeshap", 2)
    params = FusionParams(scale="lead", tau=0.05)
    fused = fuse_published([timeshap, lime], params)
    result = fuse_spans([spans_of(lime), spans_of(timeshap)], params)
    assert fused.top_leads == result.top_leads
    density = np.nan_to_num(fused.density())
    for row, lead in enumerate(fused.leads):
        mass = sum((b - a) * abs(level) for a, b, level in result.spans.get(lead, ()))
        assert (np.abs(density[row]) * 0.5).sum() == pytest.approx(mass, rel=1e-5)
    np.testing.assert_array_equal(fused.explored, lime.explored | timeshap.explored)
