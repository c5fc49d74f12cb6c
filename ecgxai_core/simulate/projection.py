"""From the cardiac dipole to the twelve leads.

Axes are those of Frank: x to the left, y to the feet, z to the back; amplitudes in mV as Frank's
orthogonal leads record them.
"""

from __future__ import annotations

import numpy as np

from ecgxai_core.types import STANDARD_LEADS, FloatArray

__all__ = [
    "DOWER",
    "ELECTRODES",
    "INDEPENDENT_LEADS",
    "INVERSE_DOWER",
    "displaced",
    "electrode_leads",
    "frontal_axis_deg",
    "twelve_leads",
]

INDEPENDENT_LEADS: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""The leads that are measured; III, aVR, aVL and aVF follow from I and II."""

DOWER: FloatArray = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""``float64[8, 3]``: lead vectors of :data:`INDEPENDENT_LEADS`.

Dower GE, Machado HB, Osborne JA. On deriving the electrocardiogram from vectorcardiographic leads.
Clin Cardiol 1980;3:87-95. It is the matrix whose pseudo-inverse Edenbrandt and Pahlm published.
"""

INVERSE_DOWER: FloatArray = np.array(
    [
        [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
        [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
        [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
    ]
)
"""``float64[3, 8]``: the dipole from :data:`INDEPENDENT_LEADS`.

Edenbrandt L, Pahlm O. Vectorcardiogram synthesized from a 12-lead ECG: superiority of the inverse
Dower matrix. J Electrocardiol 1988;21:361-367.
"""

ELECTRODES: tuple[str, ...] = ("RA", "LA", "LL", "C1", "C2", "C3", "C4", "C5", "C6")
"""Electrodes whose noise enters the leads (the right leg is the ground)."""


def electrode_leads(potentials: FloatArray) -> FloatArray:
    """Independent leads ``float64[8, sample]`` from electrode potentials ``float64[9, sample]``.

    I = LA - RA, II = LL - RA, and a chest lead is measured against Wilson's central terminal
    (RA + LA + LL) / 3, so noise at one limb electrode reaches every lead as it does in life.
    """
    right, left, foot = potentials[:3]
    wilson = (right + left + foot) / 3.0
    return np.concatenate([[left - right, foot - right], potentials[3:] - wilson])


def twelve_leads(independent: FloatArray) -> FloatArray:
    """``float64[12, sample]`` in standard order from the independent leads ``float64[8, sample]``.

    III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2 (Einthoven, Goldberger).
    """
    one, two = independent[0], independent[1]
    limb = [one, two, two - one, -(one + two) / 2.0, one - two / 2.0, two - one / 2.0]
    out = np.concatenate([np.stack(limb), independent[2:]])
    if len(out) != len(STANDARD_LEADS):
        raise ValueError(f"eight independent leads expected, {len(independent)} given")
    return out


def displaced(shift: float, gains: FloatArray) -> FloatArray:
    """Lead vectors ``float64[8, 3]`` of one person: chest electrodes shifted and nearer or farther.

    Parameters
    ----------
    shift
        Displacement of the chest electrodes along their row in electrode spacings, within +-0.5.
    gains
        ``float64[6]``: factor of each chest lead (distance from the heart).
    """
    chest = DOWER[2:]
    ahead = np.concatenate([chest[1:], chest[-1:]])
    behind = np.concatenate([chest[:1], chest[:-1]])
    neighbour = ahead if shift > 0 else behind
    moved = (1.0 - abs(shift)) * chest + abs(shift) * neighbour
    return np.concatenate([DOWER[:2], moved * gains[:, None]])


def frontal_axis_deg(vector: FloatArray) -> float:
    """Electrical axis in degrees of a dipole vector ``float64[3]``.

    From the net deflection in I and aVF, aVF corrected by 2 / sqrt(3) for the augmented leads'
    smaller lead vectors (Surawicz B et al., AHA/ACCF/HRS recommendations III, 2009).
    """
    one, two = DOWER[:2] @ vector
    return float(np.degrees(np.arctan2((two - one / 2.0) * 2.0 / np.sqrt(3.0), one)))
