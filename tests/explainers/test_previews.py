"""A map that is being refined is shown step by step; looking changes nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain_each, gradients, hierarchical
from ecgxai_core.fusion import fuse
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import ExplainParams, FusionParams
from ecgxai_core.stopping import Stopped, stoppable
from ecgxai_core.store.envelope import encode
from ecgxai_core.store.values import entry_of
from ecgxai_core.types import STANDARD_LEADS, Record, is_preview
from tests.analytic import TARGET, Analytic, cell_energy, record
from tests.small import AF, FS, SINUS, beats, write_model

LOCAL = ExplainParams(
    segments="uniform", window_sec=0.6, level="owen", lead_group="all", target_error=0.001
)
SAMPLED = ExplainParams(
    segments="uniform", window_sec=0.5, lead_group="all", level="owen", top_events=10,
    n_coalitions=64, max_coalitions=2048, n_lead_coalitions=32, max_lead_coalitions=2048,
    target_error=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    model = load_classifier(write_model(tmp_path_factory.mktemp("model")))
    return Case(Record(name="T", signal=beats(75, 3), fs=FS, leads=STANDARD_LEADS), model, AF)


@pytest.fixture(autouse=True)
def _every_error_counts(monkeypatch):
    """Also that of a map of a tiny network, which is nearly nothing."""
    monkeypatch.setattr(hierarchical, "LEAST_ERROR", 0.0)


def smooth(values):
    """Twelve leads and ten segments that bend together; the model is no network."""
    energy = cell_energy(values, list(range(0, 501, 50)))
    effects = np.random.default_rng(6).normal(size=(12, 10)) / 6
    return np.tanh((energy * effects).sum(axis=(1, 2))) + (energy * effects).sum(axis=1).max(axis=1)


def games(local):
    return {
        "local": (local, LOCAL),
        "winter": (local, LOCAL.updated(level="winter", segments="wave", window_sec=None)),
        "independent": (local, LOCAL.updated(lead_group="independent")),
        "contrast": (local, LOCAL.updated(contrast=SINUS)),
        "sampled": (Case(record(), Analytic(smooth), TARGET), SAMPLED),
        "clipped": (Case(record(), Analytic(lambda x: 40 * smooth(x)), TARGET), SAMPLED),
    }


def run(case, params, preview=None):
    (found,) = explain_each(case, {"timeshap": params}, preview=preview)
    return found


def error(item):
    return item.diagnostics["relative_error"]


def weights(item):
    return item.weights[item.explored]


@pytest.mark.parametrize(
    "which", ["local", "winter", "independent", "contrast", "sampled", "clipped"]
)
def test_a_map_is_shown_while_it_is_refined_and_looking_changes_nothing(local, which):
    case, params = games(local)[which]
    shown = []
    found = run(case, params, shown.append)
    assert encode({}, *entry_of(found)) == encode({}, *entry_of(run(case, params)))
    assert shown
    assert all(is_preview(item) for item in shown)
    assert not is_preview(found)
    assert "preview" not in found.diagnostics
    taken = [item.diagnostics["coalitions"]["lead"] for item in (*shown, found)]
    assert all(a < b for a, b in pairwise(taken))
    assert error(shown[-1]) < error(shown[0])
    for item in shown:
        assert item.diagnostics["preview"]
        assert not item.diagnostics["converged"]
        assert item.diagnostics["level"] == params.level
        assert error(item) > params.target_error
        assert np.allclose(np.nansum(item.weights, axis=0), item.event_values, atol=1e-5)
        assert np.allclose(item.event_values, found.event_values), "the columns stay as they are"
        (said,) = [w.message for w in item.warnings if w.code == "preliminary_map"]
        assert f"at most {error(item):.0%} of it" in said
    norm = np.linalg.norm(weights(found))
    far = [np.linalg.norm(weights(item) - weights(found)) / norm for item in shown]
    assert far[-1] < far[0]
    assert far[0] < 2 * error(shown[0]) + error(found)


def test_the_first_map_comes_before_the_first_check(local):
    shown = []
    run(local, LOCAL, shown.append)
    waves = len(shown[0].edges_sec) - 1
    first = shown[0].diagnostics["coalitions"]["lead"] / waves
    second = shown[1].diagnostics["coalitions"]["lead"] / waves
    assert first / second == hierarchical.FIRST_SHOWN / hierarchical.STAGES[0]


def test_what_was_shown_remains_when_the_work_is_stopped(local):
    shown = []
    with pytest.raises(Stopped), stoppable(lambda passes: len(shown) == 2):
        run(local, LOCAL, shown.append)
    assert len(shown) == 2


def test_a_map_fused_from_a_preliminary_one_is_preliminary(local):
    shown = []
    (quick,) = explain_each(local, {"occlusion": LOCAL}, preview=shown.append)
    assert not shown, "occlusion refines nothing"
    final = run(local, LOCAL, shown.append)
    assert is_preview(fuse([quick, shown[0]], FusionParams()))
    assert not is_preview(fuse([quick, final], FusionParams()))


def test_a_path_with_too_few_points_is_shown_while_points_are_added(local, monkeypatch):
    monkeypatch.setattr(gradients, "COMPLETE", 0.0)
    monkeypatch.setattr(gradients, "MAX_STEPS", 64)
    params, shown = ExplainParams(segments="uniform", window_sec=0.6, ig_steps=8), []
    asked = {"integrated_gradients": params}
    (found,) = explain_each(local, asked, preview=shown.append)
    (alone,) = explain_each(local, asked)
    assert encode({}, *entry_of(found)) == encode({}, *entry_of(alone))
    assert [item.diagnostics["steps"] for item in (*shown, found)] == [8, 16, 32, 64]
    assert not is_preview(found)
    for item in shown:
        assert is_preview(item)
        (said,) = [w.message for w in item.warnings if w.code == "preliminary_map"]
        gap = item.diagnostics["completeness_gap"]
        assert f"its weights fail to add up by {gap:.1%} (1% is wanted)" in said
