"""Masking that leaves an ECG that can exist: eight leads are masked, four follow from them.

Of the 12 leads only I, II and V1 to V6 are independent. Masking III alone makes a record in which
III differs from II - I, which no electrode placement can give and no model was trained on. With
the lead group ``"independent"`` the players are the eight leads, and III, aVR, aVL and aVF move as
I and II do.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.records.leads import DERIVED_LEADS, INDEPENDENT_LEADS
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, ModelInput, Segmentation

__all__ = [
    "check_limbs",
    "evidence_leads",
    "follow_limbs",
    "independent_signals",
    "limb_residual",
    "rederive",
]

_LARGEST_RESIDUAL = 0.1


def rederive(signals: Float32Array, model_input: ModelInput) -> Float32Array:
    """Let the derived leads follow what was done to I and II.

    A derived lead becomes its original plus the factors times the change of I and II. So where
    nothing was masked it keeps the very samples of the record, with the rounding of the device;
    offsets drop out; and a signal that obeys Einthoven's law obeys it afterwards.

    Parameters
    ----------
    signals
        ``float32[n, sample, lead]`` in model lead order, I and II masked or not. What stands in the
        derived leads is not read.
    model_input
        The unmasked record. Its limb leads must share one scale (:func:`limb_residual` says).

    Returns
    -------
    ``float32[n, sample, lead]``, a copy; derived leads that the model does not have are not added.

    Raises
    ------
    ExplanationError
        The model lacks I or II, or its limb leads do not obey Einthoven's law in the model's
        units, as after a normalisation of each lead by itself.
    """
    check_limbs(model_input)
    return follow_limbs(signals, model_input.values, model_input.leads)


def follow_limbs(
    signals: Float32Array, values: Float32Array, leads: tuple[str, ...]
) -> Float32Array:
    """:func:`rederive` on any piece of a record whose limb leads have been checked.

    ``signals`` ``float32[n, sample, lead]`` and the unmasked ``values`` ``float32[sample, lead]``.
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


def independent_signals(
    keep: BoolArray, baseline: Float32Array, model_input: ModelInput, segmentation: Segmentation
) -> Float32Array:
    """Masked records of the game whose players are independent leads in segments.

    Parameters
    ----------
    keep
        ``bool[n, lead, segment]``, rows in the order of ``INDEPENDENT_LEADS``, as far as the model
        has them; ``False`` = masked.
    baseline
        ``float32[sample, lead]`` in model lead order
        (:func:`ecgxai_core.games.baselines.baseline_signal`).
    model_input, segmentation
        What the model sees, and how its time is cut; samples outside every segment stay.

    Returns
    -------
    ``float32[n, sample, lead]``.
    """
    rows = [lead for lead in INDEPENDENT_LEADS if lead in model_input.leads]
    if keep.ndim != 3 or keep.shape[1:] != (len(rows), len(segmentation)):
        raise ValueError(f"keep {keep.shape} does not fit {len(rows)} x {len(segmentation)}")
    values = model_input.values
    signals = np.repeat(values[None], len(keep), axis=0)
    samples = np.diff(segmentation.edges)
    first, stop = int(segmentation.edges[0]), int(segmentation.edges[-1])
    for row, lead in enumerate(rows):
        column = model_input.leads.index(lead)
        kept = np.repeat(keep[:, row], samples, axis=1)
        signals[:, first:stop, column] = np.where(
            kept, values[first:stop, column], baseline[first:stop, column]
        )
    return rederive(signals, model_input)


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
    missing = [lead for lead in ("I", "II") if lead not in model_input.leads]
    if missing:
        problem = f"the model has no lead {' and '.join(missing)}"
    elif limb_residual(model_input) > _LARGEST_RESIDUAL:
        problem = "the limb leads, as the model sees them, do not obey Einthoven's law"
    else:
        return
    raise ExplanationError("lead group", "independent", problem, "mask all 12 leads")


def evidence_leads(leads: Iterable[str]) -> tuple[str, ...]:
    """Where evidence in ``leads`` may be found when only independent leads are players.

    Evidence that cardiology expects in III, aVR, aVL or aVF counts for I and for II, from which
    they are made.
    """
    wanted = set(leads)
    if wanted & set(DERIVED_LEADS):
        wanted |= {"I", "II"}
    return tuple(lead for lead in INDEPENDENT_LEADS if lead in wanted)
