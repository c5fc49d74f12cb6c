"""Masked records of eight independent leads still obey Einthoven's law."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ExplanationError
from ecgxai_core.games.baselines import baseline_signal
from ecgxai_core.games.leads import check_limbs, folded, follow_limbs, limb_residual
from ecgxai_core.records.leads import DERIVED_LEADS, INDEPENDENT_LEADS
from ecgxai_core.types import STANDARD_LEADS, ModelInput, Segmentation
from tests.small import FS, beats

CUT = Segmentation("uniform", np.array([0, 150, 300, 500]), FS, 0.0)


def given(leads=STANDARD_LEADS, scale=1.0) -> ModelInput:
    order = [STANDARD_LEADS.index(lead) for lead in leads]
    values = beats(70, seed=3)[order, :600].T * np.float32(scale)
    return ModelInput(values, np.zeros(len(leads)), FS, 0.0, (0, 500), leads, "0" * 64)


def independent_signals(keep, fill, model_input, cut):
    """Masked records of the independent leads ``keep[n, lead, segment]``, cell by cell."""
    rows = [lead for lead in INDEPENDENT_LEADS if lead in model_input.leads]
    signals = np.repeat(model_input.values[None], len(keep), axis=0)
    for n, row, part in np.argwhere(~keep):
        inside = slice(cut.edges[part], cut.edges[part + 1])
        column = model_input.leads.index(rows[row])
        signals[n, inside, column] = fill[inside, column]
    return follow_limbs(signals, model_input.values, model_input.leads)


def laws(signals, leads):
    """The textbook's equations, written out by themselves."""
    at = {lead: signals[..., leads.index(lead)].astype(np.float64) for lead in leads}
    yield at["III"], at["II"] - at["I"]
    yield at["aVR"], -(at["I"] + at["II"]) / 2
    yield at["aVL"], (at["I"] - at["III"]) / 2
    yield at["aVF"], (at["II"] + at["III"]) / 2


@pytest.mark.parametrize("kind", ["zero", "mean", "linear", "isoelectric", "noise", "median_beat"])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_every_coalition_obeys_einthoven(kind, scale):
    keep = np.random.default_rng(0).random((20, 8, 3)) < 0.5
    model_input = given(scale=scale)
    fill = baseline_signal(kind, model_input, CUT)
    signals = independent_signals(keep, fill, model_input, CUT)
    for found, expected in laws(signals, STANDARD_LEADS):
        np.testing.assert_allclose(found, expected, atol=3e-6 * scale)


def test_kept_cells_are_the_record_and_masked_ones_the_baseline():
    model_input = given()
    fill = baseline_signal("mean", model_input, CUT)
    keep = np.ones((3, 8, 3), dtype=bool)
    keep[1, 4, 1] = False  # V3 in the second segment: no limb lead may move
    keep[2, 0, 1] = False  # I in the second segment
    whole, chest, limb = independent_signals(keep, fill, model_input, CUT)
    np.testing.assert_array_equal(whole, model_input.values)
    v3 = STANDARD_LEADS.index("V3")
    np.testing.assert_array_equal(chest[150:300, v3], fill[150:300, v3])
    others = [i for i in range(12) if i != v3]
    np.testing.assert_array_equal(chest[:, others], model_input.values[:, others])
    moved = np.flatnonzero(np.any(limb[150:300] != model_input.values[150:300], axis=0))
    assert [STANDARD_LEADS[i] for i in moved] == ["I", "III", "aVR", "aVL", "aVF"]
    np.testing.assert_array_equal(limb[:150], model_input.values[:150])
    np.testing.assert_array_equal(limb[300:], model_input.values[300:])


def test_everything_masked_is_the_baseline_in_all_twelve_leads():
    model_input = given()
    fill = baseline_signal("zero", model_input, CUT)
    (signal,) = independent_signals(np.zeros((1, 8, 3), dtype=bool), fill, model_input, CUT)
    np.testing.assert_allclose(signal[:500], 0.0, atol=1e-6)
    np.testing.assert_array_equal(signal[500:], model_input.values[500:])  # padding stays


def test_the_models_own_lead_order_and_absent_leads_are_respected():
    leads = ("V2", "aVF", "II", "I")
    model_input = given(leads)
    fill = baseline_signal("zero", model_input, CUT)
    keep = np.ones((1, 3, 3), dtype=bool)  # I, II, V2
    keep[0, 1] = False  # II
    (signal,) = independent_signals(keep, fill, model_input, CUT)
    np.testing.assert_allclose(signal[:500, 1], -signal[:500, 3] / 2, atol=1e-6)
    np.testing.assert_array_equal(signal[:, 3], model_input.values[:, 3])
    np.testing.assert_array_equal(signal[:, 0], model_input.values[:, 0])


def test_leads_normalised_one_by_one_are_refused():
    sound = given()
    assert limb_residual(sound) < 1e-5
    values = sound.values / sound.values.std(axis=0)
    scaled = ModelInput(values, sound.zero, FS, 0.0, (0, 500), STANDARD_LEADS, "0" * 64)
    assert limb_residual(scaled) > 0.1
    with pytest.raises(ExplanationError, match="Einthoven"):
        check_limbs(scaled)
    with pytest.raises(ExplanationError, match="no lead II"):
        check_limbs(given(("I", "V1")))


def test_a_folded_gradient_is_that_of_the_independent_leads():
    rng = np.random.default_rng(3)
    order = tuple(reversed(STANDARD_LEADS))
    weights, mixed = rng.normal(size=(5, 12)), rng.normal(size=(5, 12))

    def value(eight):
        """A function of 12 leads, four of which are made from I and II."""
        own = dict(zip(INDEPENDENT_LEADS, eight.T, strict=True))
        one, two = own["I"], own["II"]
        own |= {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2}
        own |= {"aVF": two - one / 2}
        x = np.stack([own[lead] for lead in order], axis=1)
        return float((weights * np.tanh(mixed * x)).sum()), x

    eight = rng.normal(size=(5, 8))
    _, x = value(eight)
    found = folded(weights * mixed / np.cosh(mixed * x) ** 2, order)
    for column, lead in enumerate(INDEPENDENT_LEADS):
        for sample in range(5):
            step = np.zeros_like(eight)
            step[sample, column] = 1e-6
            numeric = (value(eight + step)[0] - value(eight - step)[0]) / 2e-6
            assert found[sample, order.index(lead)] == pytest.approx(numeric, abs=1e-7)
    assert not found[:, [order.index(lead) for lead in DERIVED_LEADS]].any()


def test_derived_leads_are_those_that_are_not_independent():
    assert set(DERIVED_LEADS) | set(INDEPENDENT_LEADS) == set(STANDARD_LEADS)
