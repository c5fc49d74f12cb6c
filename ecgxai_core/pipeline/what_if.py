"""What the model would say of a changed record: dose-response curves, and the least change that
flips a call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.settings import assets_dir
from ecgxai_core.signal.delineation import Delineation, delineate
from ecgxai_core.signal.intervals import LEAD_WAVES, Measured, measure_signal
from ecgxai_core.simulation.edits import EDITS, Place, edited
from ecgxai_core.types import Float32Array, FloatArray, Record, frozen_array

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DoseResponse", "Switch", "dose_response", "flips", "natural_range", "outputs_of",
    "ranges_digest", "switched_at", "switches",
]  # fmt: skip

FLIP_STEPS = 9
"""Halvings of the step in which a call flips."""

_ADDS = ("ms", "1/min")
"""Units of edits that add to an interval or a rate of the whole record."""


@lru_cache(maxsize=1)
def _ranges_file() -> bytes:
    return (assets_dir() / "natural_ranges.json").read_bytes()


def ranges_digest() -> str:
    """SHA-256 (hex) of the natural ranges, for keys of what says that a record is unusual."""
    return hashlib.sha256(_ranges_file()).hexdigest()


@lru_cache(maxsize=1)
def _ranges() -> dict[str, dict[str, tuple[float, float]]]:
    text = json.loads(_ranges_file())
    return {
        lead: {name: (float(low), float(high)) for name, (low, high) in rows.items()}
        for lead, rows in text["ranges"].items()
    }


def natural_range(name: str, lead: str = "") -> tuple[float, float] | None:
    """1st and 99th percentile of a measurement over PTB-XL, in its unit; ``None`` = not known."""
    return _ranges().get(lead, {}).get(name)


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """What the model says of each size of an edit.

    Attributes
    ----------
    edit, unit
        Name of the edit and unit of its sizes.
    sizes
        ``float64[n]``, ascending; the neutral size is among them.
    classes
        Of the columns of ``probabilities``.
    probabilities
        ``float32[n, class]``; NaN where the record has no room for the change.
    measured
        ``float64[n]``: the measurement that the edit moves, found anew in each changed record; the
        median over the edited leads where it belongs to leads. NaN = not measurable.
    natural
        Its natural range, where there is one: 1st and 99th percentile of the training data.
    refused
        By size, why the change is not possible; empty where it is.
    by_lead
        ``float64[n]`` by lead, where the measurement belongs to leads: in every lead of the
        record, as limb leads that were not named may move with those that were.
    """

    edit: str
    unit: str
    sizes: FloatArray
    classes: tuple[str, ...]
    probabilities: Float32Array
    measured: FloatArray
    natural: tuple[float, float] | None
    refused: tuple[str, ...]
    by_lead: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", frozen_array(self.sizes, np.float64))
        object.__setattr__(self, "probabilities", frozen_array(self.probabilities, np.float32))
        object.__setattr__(self, "measured", frozen_array(self.measured, np.float64))

    @property
    def unusual(self) -> tuple[bool, ...]:
        """By size, whether the changed record leaves the natural range."""
        if self.natural is None:
            return (False,) * len(self.sizes)
        low, high = self.natural
        return tuple(bool(value < low or value > high) for value in self.measured)

    @property
    def levels(self) -> FloatArray | None:
        """``float64[n]``: the value of what is measured that each size asks for, in the unit of the
        sizes; ``None`` where the edit does not add to a measured interval or rate."""
        if self.unit not in _ADDS or not EDITS[self.edit].measures or self.by_lead:
            return None
        levels = self.sizes + self.measured[self.neutral_at]
        return levels if np.isfinite(levels).all() else None

    @property
    def neutral_at(self) -> int:
        """Place of the size that changes nothing."""
        return int(np.flatnonzero(self.sizes == EDITS[self.edit].neutral)[0])

    def column(self, code: str) -> Float32Array:
        """``float32[n]``: probabilities of one class."""
        return np.asarray(self.probabilities[:, self.classes.index(code)])

    def to_frame(self) -> pd.DataFrame:
        """One row per size: size, measured, unusual, refused, and a column per class."""
        import pandas as pd

        frame = pd.DataFrame({
            "size": self.sizes, "measured": self.measured, "unusual": self.unusual,
            "refused": self.refused,
        })  # fmt: skip
        columns = dict(zip(self.classes, self.probabilities.T, strict=True))
        return pd.concat([frame, pd.DataFrame(columns)], axis=1)


@dataclass(frozen=True, slots=True)
class Switch:
    """A class whose call differs from that of the record as recorded.

    Attributes
    ----------
    code
        The class.
    at
        Place of the size.
    called
        Whether it is called there.
    """

    code: str
    at: int
    called: bool


def switched_at(
    found: DoseResponse, thresholds: Mapping[str, float], at: int
) -> tuple[Switch, ...]:
    """The classes whose call at one size, by its place, is another than as recorded; of those in
    ``thresholds``, each by its own. A size that is not possible switches none."""
    kept = []
    for code, limit in thresholds.items():
        curve = found.column(code)
        called = bool(curve[at] >= limit)
        if np.isfinite(curve[at]) and called != bool(curve[found.neutral_at] >= limit):
            kept.append(Switch(code, at, called))
    return tuple(kept)


def switches(found: DoseResponse, thresholds: Mapping[str, float]) -> tuple[Switch, ...]:
    """The classes whose call switches within the sizes of a response, and where.

    Parameters
    ----------
    found
        The response. A call that differs between two sizes only is not noticed.
    thresholds
        By class, the probability from which it counts as called; other classes are left out.

    Returns
    -------
    For each class the first size below the recorded one and the first above it; the class whose
    probability changes most within the response comes first.
    """
    start, n = found.neutral_at, len(found.sizes)
    kept: list[Switch] = []
    for side in (range(start - 1, -1, -1), range(start + 1, n)):
        known: set[str] = set()
        for at in side:
            new = [one for one in switched_at(found, thresholds, at) if one.code not in known]
            known |= {one.code for one in new}
            kept += new

    def most(one: Switch) -> float:
        curve = found.column(one.code)
        return float(np.nanmax(np.abs(curve - curve[start])))

    return tuple(sorted(kept, key=most, reverse=True))


def dose_response(
    case: Case, edit: str, sizes: Sequence[float], place: Place | None = None
) -> DoseResponse:
    """Change the case's record by each size and predict.

    Parameters
    ----------
    case
        Its target does not matter; all classes are given.
    edit, sizes, place
        As in :func:`ecgxai_core.simulation.edits.edited`; the neutral size is added.

    Raises
    ------
    ParameterError
        No such edit or lead, or a size out of its bounds.
    """
    place = place or Place()
    waves = _waves(case.record)
    # An edit that does not exist, or a bad place, is told before anything is computed.
    neutral = EDITS[edit].neutral if edit in EDITS else 0.0
    edited(case.record, edit, neutral, place, waves)
    ordered = np.unique(np.asarray([*sizes, neutral], np.float64))
    records: list[Record | None] = []
    refused = []
    for size in ordered:
        try:
            records.append(edited(case.record, edit, float(size), place, waves))
            refused.append("")
        except ExplanationError as error:
            records.append(None)
            refused.append(f"{error.problem}. {error.fix.capitalize()}")
    tables = [_table(record, edit) for record in records]
    by_lead = _by_lead(tables, edit, case.record.leads)
    return DoseResponse(
        edit=edit,
        unit=EDITS[edit].unit,
        sizes=ordered,
        classes=case.classifier.classes,
        probabilities=outputs_of(case, records),
        measured=_measured(tables, edit, by_lead, place.leads or case.record.leads),
        natural=_natural(edit, place),
        refused=tuple(refused),
        by_lead=by_lead,
    )


def flips(
    case: Case, found: DoseResponse, threshold: float, place: Place | None = None
) -> tuple[float, ...]:
    """The least changes at which the target's call flips: at most one below neutral and one above.

    Parameters
    ----------
    case
        Its target's probability is followed.
    found, place
        The response, and where its edit acts. A flip is looked for between its sizes only: a call
        that flips twice between two of them is not noticed.
    threshold
        Probability from which the target counts as called.

    Returns
    -------
    Sizes to 1/512 of the step between two sizes of the response, on the far side of the flip; of
    edits that are not graded (numbers of beats, electrodes) the size of the response itself.
    """
    curve, waves = found.column(case.target), _waves(case.record)
    start = found.neutral_at
    called = bool(curve[start] >= threshold)

    def flipped(probability: float) -> bool:
        return bool(np.isfinite(probability)) and (probability >= threshold) != called

    sizes = []
    for side in (range(start - 1, -1, -1), range(start + 1, len(curve))):
        place_of_flip = next((at for at in side if flipped(float(curve[at]))), None)
        if place_of_flip is None:
            continue
        inner = place_of_flip + (1 if place_of_flip < start else -1)
        last, far = float(found.sizes[inner]), float(found.sizes[place_of_flip])
        for _ in range(FLIP_STEPS if EDITS[found.edit].graded else 0):
            middle = (last + far) / 2
            record = edited(case.record, found.edit, middle, place, waves)
            (row,) = outputs_of(case, [record])
            if flipped(float(row[case.classifier.classes.index(case.target)])):
                far = middle
            else:
                last = middle
        sizes.append(far)
    return tuple(sizes)


def _waves(record: Record) -> Delineation:
    return delineate(record.signal, record.fs, record.leads)


def outputs_of(case: Case, records: Sequence[Record | None]) -> Float32Array:
    """``float32[n, class]``; NaN where there is no record."""
    found = np.full((len(records), len(case.classifier.classes)), np.nan, np.float32)
    known = [place for place, record in enumerate(records) if record is not None]
    inputs = [
        case.changed(record=record).model_input().values for record in records if record is not None
    ]
    if inputs:
        found[known] = case.classifier.predict(np.stack(inputs))
    return found


def _table(record: Record | None, edit: str) -> Measured | None:
    """Measurements of a changed record, where the edit moves one."""
    if record is None or not EDITS[edit].measures:
        return None
    return measure_signal(record.signal, record.fs, record.leads)


def _by_lead(
    tables: Sequence[Measured | None], edit: str, leads: Sequence[str]
) -> dict[str, FloatArray]:
    name = EDITS[edit].measures
    if name not in LEAD_WAVES:
        return {}
    return {
        lead: np.array([np.nan if t is None else t.leads[lead][name].value for t in tables])
        for lead in leads
    }


def _measured(
    tables: Sequence[Measured | None],
    edit: str,
    by_lead: Mapping[str, FloatArray],
    leads: Sequence[str],
) -> FloatArray:
    """By size, what the edit moves: of the record, or the median over the edited leads."""
    name = EDITS[edit].measures
    if not by_lead:
        known = [np.nan if t is None else t.named()[name].value for t in tables]
        return np.asarray(known, np.float64)
    rows = np.stack([by_lead[lead] for lead in leads])
    some = np.isfinite(rows).any(axis=0)
    found = np.full(rows.shape[1], np.nan)
    found[some] = np.nanmedian(rows[:, some], axis=0)
    return found


def _natural(edit: str, place: Place) -> tuple[float, float] | None:
    """That of the record, or of the only edited lead; several leads have no common range."""
    name = EDITS[edit].measures
    if name in LEAD_WAVES:
        return natural_range(name, place.leads[0]) if len(place.leads) == 1 else None
    return natural_range(name) if name else None
