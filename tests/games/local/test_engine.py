"""When the local engine is used, what it costs, and why it is off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain
from ecgxai_core.games import MaskedModel
from ecgxai_core.games.local.engine import (
    TOLERANCE,
    Engine,
    engine_of,
    receptive_field,
    windows_of,
)
from ecgxai_core.games.local.game import LocalGame
from ecgxai_core.models.increments import Increments
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.models.loading import LazyClassifier, load_classifier
from ecgxai_core.models.locality import NotLocal, locality
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.params import ExplainParams
from ecgxai_core.signal.segments import segment
from ecgxai_core.types import STANDARD_LEADS, Record
from tests.analytic import Analytic
from tests.small import AF, FS, beats, write_model

WINDOW = ExplainParams(window_sec=0.5)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load_classifier(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def record():
    return Record(name="T", signal=beats(75, 3), fs=FS, leads=STANDARD_LEADS)


def games(classifier, record, engine="auto", baseline="zero"):
    model_input = prepare(record, classifier.manifest)
    model = MaskedModel(classifier, model_input, AF, baseline, engine)
    return model, segment(model_input, WINDOW, 0.5)


def test_the_local_engine_is_on_and_says_how_well_it_agrees(classifier):
    engine = engine_of(classifier)
    assert engine.name == "local"
    assert engine.reason == ""
    assert 0 <= engine.error < 1e-6
    assert receptive_field(engine.part, FS) == "90 ms, regardless of order beyond"
    assert engine_of(classifier) is engine


@pytest.mark.parametrize("baseline", ["zero", "mean", "linear"])
def test_it_gives_the_probabilities_of_whole_passes(classifier, record, baseline):
    local, cut = games(classifier, record, "auto", baseline)
    whole, _ = games(classifier, record, "whole", baseline)
    rng = np.random.default_rng(0)
    keep = np.ones((60, 12, len(cut)), bool)
    keep[:20] = (rng.random((20, len(cut))) < 0.5)[:, None]
    for row in range(20, 50):
        keep[row, :, rng.integers(len(cut))] = rng.random(12) < 0.5
    keep[50:] = rng.random((10, 12, len(cut))) < 0.5
    assert np.abs(local.probabilities(keep, cut) - whole.probabilities(keep, cut)).max() < 1e-6
    assert local.is_local(cut)
    assert not whole.is_local(cut)


def test_passes_are_counted_in_whole_records(classifier, record):
    model, cut = games(classifier, record)
    keep = np.ones((1 + 2**5, 12, len(cut)), bool)
    keep[1:, :5, 4] = (np.arange(32)[:, None] >> np.arange(5)) & 1 == 1
    model.probabilities(keep, cut)
    # the intact record, four patterns, and 31 crops of one window with 8 samples on either side
    assert model.forward_passes == pytest.approx(1 + 4 + 31 * (50 + 2 * 8) / 600, abs=0.2)
    other = model.shared()
    other.probabilities(keep[:2], cut)
    assert other.forward_passes < model.forward_passes
    before = other.forward_passes
    other.probabilities(keep[:2], cut)
    assert other.forward_passes == before


@pytest.mark.parametrize("link", ["logit", "probability"])
@pytest.mark.parametrize("method", ["lime", "timeshap"])
def test_events_are_those_of_all_coalitions(classifier, record, link, method):
    """Closed form against enumeration through the whole model: 10 players, 1024 passes."""
    params = ExplainParams(
        window_sec=0.6, link=link, n_coalitions=1024, n_lead_coalitions=16, top_events=1
    )
    exact = explain(Case(record, classifier, AF), method, params)
    whole = explain(Case(record, classifier, AF), method, params.updated(engine="whole"))
    assert exact.diagnostics["engine"] == "local"
    assert whole.diagnostics["engine"] == "whole"
    assert (
        exact.diagnostics["coalitions"]["event"] == 1024 == whole.diagnostics["coalitions"]["event"]
    )
    assert np.abs(exact.event_values - whole.event_values).max() < 1e-5
    assert exact.diagnostics["forward_passes"] < 10 < 1000 < whole.diagnostics["forward_passes"]
    assert np.all(exact.event_errors == 0)


def test_the_map_is_dense_by_default_and_lead_games_grow_until_they_settle(classifier, record):
    dense = explain(Case(record, classifier, AF), "timeshap", WINDOW)
    assert dense.explored.all()
    assert not explain(Case(record, classifier, AF), "timeshap", WINDOW.updated(engine="whole",
                       n_coalitions=32, n_lead_coalitions=16)).explored.all()  # fmt: skip
    grown = explain(Case(record, classifier, AF), "timeshap", WINDOW.updated(
        n_lead_coalitions=16, max_lead_coalitions=4096, converged_level=0.99))  # fmt: skip
    assert grown.diagnostics["converged"]
    used = {game["coalitions"] for game in grown.diagnostics["lead_games"]}
    assert len(used) > 1, "some windows need more masks than others"
    assert max(used) <= 4096
    budget = explain(Case(record, classifier, AF), "timeshap", WINDOW.updated(n_lead_coalitions=16))
    assert not budget.diagnostics["converged"]


def test_whole_passes_take_the_same_road_for_models_without_a_local_part():
    engine = engine_of(Analytic(lambda values: values.sum(axis=(1, 2))))
    assert engine == Engine(None, "the classifier offers no local part")


def test_a_network_that_is_not_what_its_graph_says_is_found_out(classifier):
    part = classifier.local_part()

    class Lying:
        manifest, digest = classifier.manifest, classifier.digest
        predict = staticmethod(classifier.predict)

        def __init__(self, **changes):
            self.changes = changes

        def local_part(self):
            class Part:
                def __getattr__(self, name):
                    return getattr(part, name)

            lying = Part()
            for name, value in self.changes.items():
                setattr(lying, name, value)
            return lying

    narrow = engine_of(Lying(local=replace(part.local, first=0, last=1)))
    assert narrow.name == "whole"
    assert "which its graph says it does not" in narrow.reason
    longer = engine_of(Lying(local=replace(part.local, positions=part.local.positions + 1)))
    assert "positions where its graph says" in longer.reason
    off = engine_of(Lying(probabilities=lambda pooled: part.probabilities(pooled) * 0.999))
    assert "differ from the whole model's" in off.reason
    assert off.error > TOLERANCE


def test_recurrent_and_attention_networks_fall_back_and_say_why():
    keras = import_keras()
    layers = keras.layers

    def why(build):
        given = keras.Input((100, 12))
        found = locality(keras.Model(given, build(given)), 100)
        assert isinstance(found, NotLocal)
        return found.reason

    pool = layers.GlobalAveragePooling1D()
    assert "LSTM" in why(lambda x: layers.Dense(2)(layers.LSTM(3)(x)))
    assert "MultiHeadAttention" in why(lambda x: pool(layers.MultiHeadAttention(2, 4)(x, x)))
    assert "Flatten" in why(lambda x: layers.Dense(2)(layers.Flatten()(x)))
    gate = lambda x: layers.Multiply()([x, layers.GlobalAveragePooling1D(keepdims=True)(x)])  # noqa: E731
    assert "summary of all time" in why(lambda x: pool(gate(x)))
    assert "not pooled" in why(lambda x: layers.Conv1D(2, 3)(x))
    assert "pooled at different strides" in why(
        lambda x: layers.Concatenate()(
            [pool(x), layers.GlobalMaxPooling1D()(layers.MaxPooling1D(2)(x))]
        )
    )


@pytest.mark.parametrize("name", ["ptbxl_attention", "ptbxl_resnet"])
def test_shipped_models(name):
    path = Path(__file__).parents[3] / "assets" / "models" / name / f"{name}.keras"
    classifier = load_classifier(path)
    engine = engine_of(classifier)
    assert engine.name == ("local" if name == "ptbxl_resnet" else "whole")
    if engine.part is not None:
        assert receptive_field(engine.part, classifier.manifest.fs).startswith("470 ms")
        assert engine.error < 1e-5
    else:
        assert engine.reason


def test_a_classifier_that_loads_late_has_the_same_engine(tmp_path):
    lazy = LazyClassifier(write_model(tmp_path))
    assert engine_of(lazy).name == "local"


def test_independent_leads_are_eight_players_and_the_others_follow(classifier, record):
    """The local engine, whole passes and records masked by hand agree; all 256 subsets are seen."""
    params = WINDOW.updated(lead_group="independent", top_events=2)
    local = explain(Case(record, classifier, AF), "timeshap", params)
    whole = explain(
        Case(record, classifier, AF), "timeshap", params.updated(engine="whole", n_coalitions=4096)
    )
    derived = [local.leads.index(lead) for lead in ("III", "aVR", "aVL", "aVF")]
    opened = local.diagnostics["explored_events"]
    assert {g["coalitions"] for g in local.diagnostics["lead_games"]} == {256}
    assert not local.explored[derived].any()
    assert local.explored[:, opened].sum() == 8 * 2
    assert np.nanmax(np.abs(local.weights - whole.weights)) < 1e-5
    model_input = prepare(record, classifier.manifest)
    cut = segment(model_input, WINDOW, 0.5)
    keep = np.ones((1, 12, len(cut)), bool)
    keep[0, 0, opened[0]] = False
    game = MaskedModel(classifier, model_input, AF, "zero", "auto", "independent")
    by_hand = np.array(model_input.values)
    part = slice(cut.edges[opened[0]], cut.edges[opened[0] + 1])
    one = by_hand[part, 0].copy()
    for column, factor in ((0, -1), (2, 1), (3, 0.5), (4, -1), (5, 0.5)):
        by_hand[part, column] += factor * one
    right = classifier.predict(by_hand[None])[0, classifier.classes.index(AF)]
    assert game.probabilities(keep, cut)[0] == pytest.approx(right, abs=1e-6)
    occluded = explain(Case(record, classifier, AF), "occlusion", params)
    assert not occluded.explored[derived].any()


def short_segments(classifier, record, part=None):
    model_input = prepare(record, classifier.manifest)
    values = model_input.values
    edges = np.append(np.arange(0, len(values), 6), len(values))
    return LocalGame(part or classifier.local_part(), values, np.zeros_like(values), edges)


def test_short_segments_are_recomputed_layer_by_layer(classifier, record):
    game = short_segments(classifier, record)
    windows = windows_of(classifier, game)
    assert windows is not None
    assert windows.share < 0.8
    whole = LocalGame(game.network, game._values, game._baseline, np.array([0, 600]))
    assert windows_of(classifier, whole) is None, "whole passes are less work"


def test_recomputation_that_differs_from_whole_passes_is_found_out(classifier, record, caplog):
    part = classifier.local_part()
    off = Increments(part.increments._nodes, part.head.kernel * 1.01)

    class Part:
        increments = off

        def __getattr__(self, name):
            return getattr(part, name)

    class Other:
        manifest, digest = classifier.manifest, classifier.digest

    other = Other()
    assert windows_of(other, short_segments(classifier, record, Part())) is None
    assert "no recomputation by layers" in caplog.text
