"""Masking of the eight independent leads; the four derived leads follow.

Of the 12 leads only I, II and V1 to V6 are independent. Masking III alone violates Einthoven's law
(III = II - I): no recording can look so, and no model was trained on it. With the lead group
``"independent"`` the players are the eight leads, and III, aVR, aVL and aVF follow I and II.
"""

from __future__ import annotations

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.records.leads import DERIVED_LEADS
from ecgxai_core.types import Float32Array, FloatArray, ModelInput

__all__ = [
    "check_limbs",
    "folded",
    "follow_limbs",
    "has_independent_leads",
    "limb_residual",
]

_LARGEST_RESIDUAL = 0.1


def follow_limbs(
    signals: Float32Array, values: Float32Array, leads: tuple[str, ...]
) -> Float32Array:
    """Let the derived leads follow what was done to I and II.

    A derived lead becomes its original plus the factors times the change of I and II. So where
    nothing was masked it keeps the very samples of the record, with the rounding of the device;
    offsets drop out; and a signal that obeys Einthoven's law obeys it afterwards.

    Parameters
    ----------
    signals
        ``float32[n, sample, lead]``, I and II masked or not; what stands in the derived leads is
        not read.
    values
        ``float32[sample, lead]``, the unmasked record, or the same piece of it; its limb leads must
        share one scale (:func:`check_limbs`).
    leads
        Names of the columns, with I and II; derived leads that are absent are not added.

    Returns
    -------
    ``float32[n, sample, lead]``, a copy.
    """
    out = np.array(signals, dtype=np.float32)
    place = {lead: column for column, lead in enumerate(leads)}
    change = [
        signals[:, :, place[lead]].astype(np.float64) - values[:, place[lead]]
        for lead in ("I", "II")
    ]
    for lead, (one, two) in DERIVED_LEADS.items():
        if lead in place:
            column = place[lead]
            out[:, :, column] = values[:, column] + (one * change[0] + two * change[1])
    return out


def limb_residual(model_input: ModelInput) -> float:
    """How far the limb leads are from Einthoven's law in the model's units.

    Returns
    -------
    The largest standard deviation of (derived lead minus its sum), as a share of that lead's own;
    0 in a sound record, about 1 and more where leads have scales of their own. NaN without I, II
    or any derived lead.
    """
    first, stop = model_input.valid
    values: FloatArray = model_input.values[first:stop].astype(np.float64)
    place = {lead: column for column, lead in enumerate(model_input.leads)}
    if "I" not in place or "II" not in place:
        return float("nan")
    shares = []
    for lead, (one, two) in DERIVED_LEADS.items():
        if lead in place:
            own = values[:, place[lead]]
            expected = one * values[:, place["I"]] + two * values[:, place["II"]]
            spread = max(float(own.std()), float(expected.std()))
            shares.append(float((own - expected).std()) / spread if spread > 0 else 0.0)
    return max(shares, default=float("nan"))


def check_limbs(model_input: ModelInput) -> None:
    """Refuse what has no independent leads.

    Raises
    ------
    ExplanationError
        The model lacks I or II, or its limb leads do not obey Einthoven's law in its units.
    """
    problem = _fault(model_input)
    if problem:
        raise ExplanationError("lead group", "independent", problem, "mask all 12 leads")


def has_independent_leads(model_input: ModelInput) -> bool:
    """Whether the derived leads of a model input can follow I and II (:func:`check_limbs`)."""
    return not _fault(model_input)


def _fault(model_input: ModelInput) -> str:
    missing = [lead for lead in ("I", "II") if lead not in model_input.leads]
    if missing:
        return f"the model has no lead {' and '.join(missing)}"
    if limb_residual(model_input) > _LARGEST_RESIDUAL:
        return "the limb leads, as the model sees them, do not obey Einthoven's law"
    return ""


def folded(gradient: FloatArray | Float32Array, leads: tuple[str, ...]) -> FloatArray:
    """A gradient with respect to the eight independent leads.

    By the chain rule I and II take over what reaches the value through III, aVR, aVL and aVF, which
    are their sums; the derived leads have none of their own.

    Parameters
    ----------
    gradient
        ``[..., lead]`` with respect to each lead by itself.
    leads
        Names of the columns, with I and II.

    Returns
    -------
    ``float64[..., lead]``, 0 in the derived leads.
    """
    out = np.array(gradient, dtype=np.float64)
    place = {lead: column for column, lead in enumerate(leads)}
    for lead, factors in DERIVED_LEADS.items():
        if lead in place:
            for limb, factor in zip(("I", "II"), factors, strict=True):
                out[..., place[limb]] += factor * gradient[..., place[lead]]
            out[..., place[lead]] = 0.0
    return out
