"""What a unit's row says of its maps."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.fusion import fuse
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.manifest import manifest_path
from ecgxai_core.params import FusionParams, profile
from ecgxai_core.pipeline.run.request import RunRequest, choose_records
from ecgxai_core.pipeline.run.units import (
    Unit,
    _converged,
    _gap,
    _stability_rows,
    compute_unit,
)
from ecgxai_core.records.read import read_record
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance
from tests.small import AF, write_model


def said(method, converged):
    return Attribution(
        "R", "164889003", method, 0.9, STANDARD_LEADS, np.arange(4.0), np.ones((12, 3)),
        np.ones((12, 3), bool), Provenance("r", "m", {}, 0, "0"),
        diagnostics={} if converged is None else {"converged": converged},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((None,), None),
        ((None, None), None),
        ((True, None), True),
        ((False, None), False),
        ((True, False), False),
        ((True, True), True),
    ],
)
def test_a_fused_map_converged_as_far_as_its_parts_say(parts, expected):
    maps = {
        name: said(name, part) for name, part in zip(("lime", "occlusion"), parts, strict=False)
    }
    fused = fuse(list(maps.values()), FusionParams())
    assert _converged(fused, maps) is expected


@pytest.mark.parametrize(
    ("gaps", "expected"), [((None,), None), ((0.02, None), 0.02), ((0.02, 0.3), 0.3)]
)
def test_a_fused_map_adds_up_as_far_as_its_worst_part(gaps, expected):
    maps = {
        name: replace(said(name, None), diagnostics={"map_gap": gap})
        for name, gap in zip(("lime", "occlusion"), gaps, strict=False)
    }
    fused = fuse(list(maps.values()), FusionParams())
    assert _gap(fused, maps) == expected


def test_no_other_model_than_that_of_the_run_explains_a_unit(tiny_model, tmp_path):
    """Such as the file that stands at the path of the model on another machine."""
    out = tmp_path / "run"
    request = RunRequest(tmp_path, tiny_model, out, profile("default"), choose_records())
    unit = Unit("u", "T000", tmp_path / "T000.hea", "d", "AF", AF)
    outcome = compute_unit(unit, request, "0" * 64)
    assert "tiny.keras: digest: is not the model that the work began with" in outcome.failed
    assert not out.exists()


@pytest.mark.parametrize(
    ("before", "after", "by_threshold", "at_half"),
    [(0.45, 0.55, True, False), (0.3, 0.1, False, True), (0.9, 0.8, True, True)],
)
def test_a_prediction_stays_by_the_threshold_of_its_class(
    tiny_data, tmp_path, before, after, by_threshold, at_half
):
    model = write_model(tmp_path / "model")
    described = json.loads(manifest_path(model).read_text("utf-8"))
    manifest_path(model).write_text(json.dumps({**described, "thresholds": {AF: 0.2}}), "utf-8")
    case = Case(read_record(tiny_data / "T000.hea"), LazyClassifier(model), AF)
    one, other = (replace(said("lime", None), probability=p) for p in (before, after))
    done = SimpleNamespace(scores={"lime": {}})
    for name, expected in (("default", by_threshold), ("reference", at_half)):
        (row,) = _stability_rows(case, {"lime": one}, {"lime": other}, done, profile(name))
        assert row["prediction_stayed"] is expected
