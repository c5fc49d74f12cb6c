"""Cascading randomisation of a small network."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.randomised import cascade
from tests.small import write_model


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load_classifier(write_model(tmp_path_factory.mktemp("model"), seed=3))


def weights_of(classifier):
    return {layer.name: layer.get_weights() for layer in classifier.keras_model.layers}


def test_layers_are_randomised_from_the_output_down(classifier):
    before = weights_of(classifier)
    batch = np.random.default_rng(0).normal(0, 0.3, (4, 600, 12)).astype(np.float32)
    trained = classifier.predict(batch)
    stages = list(cascade(classifier, seed=1))
    names = [layer.name for layer in classifier.keras_model.layers if layer.weights]
    assert [name for name, _ in stages] == names[::-1]
    for count, (_, made) in enumerate(stages, start=1):
        after = weights_of(made)
        for name in before:
            same = all(map(np.array_equal, before[name], after[name]))
            assert same == (name not in names[::-1][:count]), (name, count)
            for one, other in zip(before[name], after[name], strict=True):
                np.testing.assert_array_equal(np.sort(one.reshape(-1)), np.sort(other.reshape(-1)))
        assert made.digest != classifier.digest
        assert not np.allclose(made.predict(batch), trained, atol=1e-6)
    assert len({made.digest for _, made in stages}) == len(stages)
    np.testing.assert_array_equal(classifier.predict(batch), trained)  # the original is untouched


def test_stages_are_spread_and_repeatable(classifier):
    once = [(name, made.digest) for name, made in cascade(classifier, seed=1, stages=2)]
    again = [(name, made.digest) for name, made in cascade(classifier, seed=1, stages=2)]
    assert len(once) == 2
    assert once == again
    other = [(name, made.digest) for name, made in cascade(classifier, seed=2, stages=2)]
    assert {digest for _, digest in once}.isdisjoint(digest for _, digest in other)
    everything = [name for name, _ in cascade(classifier, seed=1)]
    assert once[-1][0] == everything[-1]
    with pytest.raises(ParameterError):
        list(cascade(classifier, stages=0))


def test_maps_of_a_method_that_looks_at_the_model_change_and_others_are_flagged(classifier):
    """Occlusion of cells asks the model; the energy of the signal does not."""
    from ecgxai_core.games.masked import MaskedModel
    from ecgxai_core.metrics.sanity import sanity
    from ecgxai_core.models.preprocess import prepare
    from ecgxai_core.signal.segments import uniform_edges
    from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record, Segmentation
    from tests.small import AF, FS, beats

    record = Record("R", beats(75, seed=2), FS, STANDARD_LEADS)
    cut = Segmentation("uniform", uniform_edges(0, 600, 25), FS, 0.0)
    given = prepare(record, classifier.manifest)

    def a_map(weights):
        return Attribution(
            "R", AF, "m", 0.5, STANDARD_LEADS, cut.edges_sec, weights,
            np.ones(weights.shape, bool), Provenance("r", "m", {}, 0, "0"),
        )  # fmt: skip

    def occlusion(model):
        game = MaskedModel(model, given, AF, "mean")
        single = ~np.eye(12 * len(cut), dtype=bool).reshape(-1, 12, len(cut))
        return a_map(game.probability - game.probabilities(single, cut).reshape(12, -1))

    energy = np.add.reduceat(np.square(given.values[:600]), cut.edges[:-1], axis=0).T
    randomised = [occlusion(made) for _, made in cascade(classifier, seed=5, stages=1)]
    told = sanity(occlusion(classifier), [("all", randomised[0])], repeat=occlusion(classifier))
    blind = sanity(a_map(energy), [("all", a_map(energy))])
    assert blind.flagged
    assert "randomised" in blind.reason
    assert told.scores[0].value < blind.scores[0].value
    assert told.repeat == 1.0
    noise = np.random.default_rng(0).normal(size=(2, 12, len(cut)))
    unsteady = sanity(a_map(noise[0]), [("all", a_map(energy))], repeat=a_map(noise[1]))
    assert "inconclusive" in unsteady.reason


def test_copies_keep_what_a_normalisation_learned(keras, saved):
    """Its mean and variance are derived from its weights when it is loaded."""
    from tests.models.conftest import LEADS, SAMPLES

    rows = 5 + 3 * np.random.default_rng(0).standard_normal((4, SAMPLES, len(LEADS)))
    norm = keras.layers.Normalization()
    norm.adapt(rows)
    given = keras.Input((SAMPLES, len(LEADS)))
    pooled = keras.layers.GlobalMaxPooling1D()(norm(given))
    out = keras.layers.Dense(3, activation="sigmoid", name="out")(pooled)
    classifier = load_classifier(saved(keras.Model(given, out)))
    values = rows.astype(np.float32)
    (first, copy), *_ = cascade(classifier, stages=2)  # the dense layer alone
    assert first == "out"
    network = copy.keras_model
    normed = keras.Model(network.inputs[0], network.layers[1].output)(values)
    assert np.allclose(np.asarray(normed), np.asarray(norm(values)), atol=1e-5)
