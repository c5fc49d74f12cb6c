"""The leads follow from the dipole by published matrices, and obey the limb-lead identities."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.simulation.dipole import (
    DOWER,
    INDEPENDENT_LEADS,
    displaced,
    electrode_leads,
    frontal_axis_deg,
    twelve_leads,
)
from ecgxai_core.types import STANDARD_LEADS


def test_dower_matrix_agrees_with_its_published_inverse() -> None:
    """Edenbrandt L, Pahlm O. J Electrocardiol 1988;21:361-367: three decimals are printed."""
    published = [
        [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
        [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
        [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
    ]
    np.testing.assert_allclose(np.linalg.pinv(DOWER), published, atol=6e-3)
    np.testing.assert_allclose(published @ DOWER, np.eye(3), atol=6e-3)


def test_the_identities_of_the_limb_leads_hold() -> None:
    leads = twelve_leads(np.random.default_rng(0).normal(size=(8, 50)))
    named = dict(zip(STANDARD_LEADS, leads, strict=True))
    np.testing.assert_array_equal(named["III"], named["II"] - named["I"])
    np.testing.assert_allclose(named["aVR"] + named["aVL"] + named["aVF"], 0, atol=1e-12)
    np.testing.assert_allclose(named["aVR"], -(named["I"] + named["II"]) / 2, atol=1e-12)
    np.testing.assert_allclose(named["aVL"], (named["I"] - named["III"]) / 2, atol=1e-12)
    np.testing.assert_allclose(named["aVF"], (named["II"] + named["III"]) / 2, atol=1e-12)


def test_nine_leads_are_refused() -> None:
    with pytest.raises(ValueError, match="eight"):
        twelve_leads(np.zeros((9, 4)))


def test_a_limb_electrode_reaches_every_chest_lead_by_a_third() -> None:
    potentials = np.zeros((9, 1))
    potentials[2] = 0.3  # left leg
    leads = electrode_leads(potentials)[:, 0]
    np.testing.assert_allclose(leads, [0, 0.3, *[-0.1] * 6], atol=1e-12)


@pytest.mark.parametrize(
    ("vector", "axis"), [((1, 0.47, 0), 45), ((0.2, 1, 0), 90), ((1, -0.7, 0), -45)]
)
def test_the_axis_points_where_the_dipole_points(
    vector: tuple[float, float, float], axis: float
) -> None:
    assert frontal_axis_deg(np.array(vector)) == pytest.approx(axis, abs=16)


def test_electrodes_in_place_give_the_published_matrix() -> None:
    np.testing.assert_array_equal(displaced(0.0, np.ones(6)), DOWER)


def test_a_shift_moves_each_chest_lead_towards_its_neighbour() -> None:
    half = displaced(0.5, np.ones(6))
    v2, v3 = INDEPENDENT_LEADS.index("V2"), INDEPENDENT_LEADS.index("V3")
    np.testing.assert_allclose(half[v2], (DOWER[v2] + DOWER[v3]) / 2)
    np.testing.assert_array_equal(half[:2], DOWER[:2])
