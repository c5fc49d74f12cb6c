"""The last step of every reader: samples in mV and their scale become a record.

Limb leads that the file does not have are derived here, and the quality of the whole is checked, so
that every format is treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecgxai_core.records.leads import DerivedLead, derive_limb_leads
from ecgxai_core.records.quality import check_signal
from ecgxai_core.types import Float32Array, QualityWarning, Record

__all__ = ["Scale", "assemble"]


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts per mV, counts at 0 mV, and the least and greatest mV that the file can hold."""

    gain: float
    zero: float
    rails: tuple[float, float]


def assemble(
    signal: Float32Array,
    leads: Sequence[str],
    scales: Sequence[Scale],
    *,
    name: str,
    file: str,
    fs: float,
    labels: tuple[str, ...] | None = None,
    age: float | None = None,
    sex: str | None = None,
    synthetic: bool = False,
    before: Sequence[QualityWarning] = (),
    after: Sequence[QualityWarning] = (),
) -> Record:
    """Make a record of what a file holds.

    Parameters
    ----------
    signal
        ``float32[lead, sample]``, mV, NaN where nothing was recorded.
    leads, scales
        Name (in the order of ``STANDARD_LEADS``) and scale of each row.
    name, file, fs, labels, age, sex, synthetic
        As in :class:`~ecgxai_core.types.Record`.
    before, after
        Warnings of the reader: of the samples, and of what the file says about the person.
    """
    complete, names, derived, noted = derive_limb_leads(signal, leads)
    by_lead = dict(zip(leads, scales, strict=True))
    for lead in derived:
        by_lead[lead.lead] = _derived_scale(lead, by_lead)
    ordered = [by_lead[lead] for lead in names]
    gains = tuple(scale.gain for scale in ordered)
    complete.flags.writeable = False
    found = check_signal(complete, names, fs, gains, [scale.rails for scale in ordered])
    return Record(
        name=name,
        signal=complete,
        fs=fs,
        leads=names,
        adc_gain=gains,
        adc_zero=tuple(scale.zero for scale in ordered),
        labels=labels,
        age=age,
        sex=sex,
        warnings=_merged([*before, *noted, *found, *after]),
        synthetic=synthetic,
        file=file,
    )


def _derived_scale(lead: DerivedLead, scales: dict[str, Scale]) -> Scale:
    """The counts of the first source, around zero; the rails that its sources' rails allow."""
    ends = [
        sorted(factor * rail for rail in scales[source].rails)
        for source, factor in zip(lead.sources, lead.factors, strict=True)
    ]
    return Scale(
        scales[lead.sources[0]].gain, 0.0, (ends[0][0] + ends[1][0], ends[0][1] + ends[1][1])
    )


def _merged(warnings: list[QualityWarning]) -> tuple[QualityWarning, ...]:
    """Warnings of one code from several files become one."""
    merged: dict[tuple[str, str], tuple[str, ...]] = {}
    for warning in warnings:
        key = (warning.code, warning.message)
        merged[key] = merged.get(key, ()) + warning.leads
    return tuple(QualityWarning(code, text, leads) for (code, text), leads in merged.items())
