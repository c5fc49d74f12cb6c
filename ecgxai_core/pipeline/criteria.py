"""Textbook criteria of a diagnosis, measured on the record, beside the evidence of a map.

The criteria stand in the table of diagnoses, the values in the table of measurements. No score uses
them: a map may follow what the model uses where a textbook would look elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ecgxai_core.diagnoses import Criterion, aliases, find_diagnosis
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.pipeline.measurements import LEAST_CONFIDENCE, measured_record, waves_of
from ecgxai_core.signal.beats import DOUBTFUL_BELOW, median_of_five
from ecgxai_core.signal.intervals import Measured, Measurement
from ecgxai_core.signal.segments import waves_of_map
from ecgxai_core.types import FloatArray, IntArray, Map, Record, Segmentation

__all__ = [
    "NEIGHBOURS", "OF_LEAD", "OF_RECORD",
    "Checked", "Criteria", "Evidence", "check", "criteria_of", "evidence_in",
    "unseen_in_words", "with_stimuli",
]  # fmt: skip

NEIGHBOURS: tuple[tuple[str, ...], ...] = (
    ("aVL", "I"), ("II", "aVF"), ("aVF", "III"),
    ("V1", "V2"), ("V2", "V3"), ("V3", "V4"), ("V4", "V5"), ("V5", "V6"),
)  # fmt: skip
"""Leads that look from neighbouring directions: lateral, inferior, and along the chest (Thygesen et
al., fourth universal definition, J Am Coll Cardiol 2018;72:2231-2264)."""

TWO_BEATS_SEC = 1.0
"""From one beat to the next at 60 per minute: a model that sees less at once compares no beats."""

_FROM_BEAT_TO_BEAT = {
    "RR irregularity": "it cannot see directly whether the beats come regularly",
    "heart rate": "it cannot see directly how fast the beats come",
}

_OF_BEATS = {
    "P present": "P wave in {}% of beats",
    "RR irregularity": "{}% from beat to beat",
}
"""How a share is said that means nothing without what it is a share of."""

_PACING = "10370003"
_ADULT_CRITERIA = 16
_STIMULUS_MV, _STIMULUS_FS, _STIMULUS_SEC = 0.25, 500.0, 0.12
_NAN = float("nan")

Waves = Mapping[str, Measurement]


def _joined(parts: Mapping[str, Measurement], value: float) -> Measurement:
    """A value from several measurements: as sure as the least sure of them."""
    missing = next((f"{n}: {m.note}" for n, m in parts.items() if not m.measurable), "")
    if missing:
        return Measurement(_NAN, "mV", 0.0, _NAN, 0, missing)
    sure, n = (
        min(part) for part in zip(*((m.confidence, m.n) for m in parts.values()), strict=True)
    )
    return Measurement(value, "mV", sure, _NAN, n)


def _sokolow_lyon(item: Measured) -> Measurement:
    """S in V1 plus the larger R of V5 and V6 (Sokolow and Lyon, Am Heart J 1949;37:161-186)."""
    s, five, six = item.leads["V1"]["S"], item.leads["V5"]["R"], item.leads["V6"]["R"]
    return _joined({"V1": s, "V5": five, "V6": six}, max(five.value, six.value) - s.value)


def _cornell(item: Measured) -> Measurement:
    """R in aVL plus S in V3 (Casale et al., J Am Coll Cardiol 1985;6:572-580)."""
    r, s = item.leads["aVL"]["R"], item.leads["V3"]["S"]
    return _joined({"aVL": r, "V3": s}, r.value - s.value)


OF_RECORD: Mapping[str, Callable[[Measured], Measurement]] = {
    "heart rate": lambda item: item.heart_rate,
    "PR": lambda item: item.pr,
    "QRS": lambda item: item.qrs,
    "QTc": lambda item: item.qtc,
    "axis": lambda item: item.axis,
    "RR irregularity": lambda item: item.irregularity,
    "P present": lambda item: item.p_present,
    "Sokolow-Lyon": _sokolow_lyon,
    "Cornell": _cornell,
}
"""What is measured once per record, by the name that criteria use."""


def _q_or_qs(waves: Waves) -> Measurement:
    """The Q wave, or the whole complex where it has no R wave."""
    return waves["S"] if waves["R"].value == 0 else waves["Q"]


def _voltage(waves: Waves) -> Measurement:
    """QRS complex from its peak to its trough."""
    parts = {name: waves[name] for name in ("Q", "R", "S")}
    trough = min(waves["Q"].value, waves["S"].value)
    return _joined(parts, waves["R"].value - trough)


OF_LEAD: Mapping[str, Callable[[Waves], Measurement]] = {
    "P": lambda waves: waves["P"],
    "Q": lambda waves: waves["Q"],
    "T": lambda waves: waves["T"],
    "ST": lambda waves: waves["ST"],
    "Q or QS": _q_or_qs,
    "QRS voltage": _voltage,
}
"""What is measured in each lead, mV."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a map has in some leads and waves.

    ``share`` of its sum of |weight|, ``chance``: what an even map has there, the share of the
    explored time. ``in_waves`` is false where the map's segments cut through waves: then only the
    leads count.
    """

    share: float
    chance: float
    in_waves: bool

    def __str__(self) -> str:
        where = "" if self.in_waves else " in the leads"
        return f"{self.share:.0%}{where} (even map {self.chance:.0%})"


@dataclass(frozen=True, slots=True)
class Checked:
    """One criterion on one record.

    ``measured`` is the value that decides (of the lead, or pair of leads, that comes nearest to
    the criterion or fails it most); ``lead`` names it, empty for a value of the whole record.
    ``met`` is ``None`` where the criterion cannot be measured, and ``reason`` then says why.
    ``evidence`` is ``None`` without a map, where the criterion has neither leads nor waves that the
    map could tell apart, and where beats are compared: the weight of a cell does not say whether
    the model compared it with another.
    """

    criterion: Criterion
    measured: Measurement | None
    lead: str
    met: bool | None
    reason: str
    evidence: Evidence | None

    @property
    def status(self) -> str:
        """``met``, ``not met`` or ``cannot be measured``."""
        return {True: "met", False: "not met", None: "cannot be measured"}[self.met]

    @property
    def value(self) -> str:
        """The measured value with its unit and lead, for people; a dash where there is none."""
        if self.measured is None or not self.measured.measurable:
            return "–"
        unit = {"deg": "°", "1/min": " /min"}.get(self.measured.unit, f" {self.measured.unit}")
        number = f"{self.measured.value:.{_digits(self.measured)}f}".replace("-", "−")
        if of_beats := _OF_BEATS.get(self.criterion.measure):
            return of_beats.format(number)
        return f"{number}{unit}" + (f" ({self.lead})" if self.lead else "")


@dataclass(frozen=True, slots=True)
class Criteria:
    """The criteria of a diagnosis on a record; ``off`` says why they do not hold for it."""

    target: str
    rows: tuple[Checked, ...]
    off: str = ""

    @property
    def sentence(self) -> str:
        """How many criteria are met, in one sentence; plain text."""
        if self.off:
            return f"Criteria are not compared: {self.off}."
        if not self.rows:
            return "No criteria are tabulated for this diagnosis."
        results = [row.met for row in self.rows]
        met, rest = results.count(True), results.count(None)
        can = len(results) - rest
        if not can:
            return "None of the criteria can be measured here."
        said = f"{met} of the {can} criteria that can be measured here {_is(met)} met"
        if can == 1:
            said = f"The one criterion that can be measured here is {'' if met else 'not '}met"
        return f"{said}; {rest} cannot be measured." if rest else f"{said}."

    def table(self) -> list[dict[str, str]]:
        """One row per criterion, as text for people."""
        return [
            {
                "criterion": row.criterion.text,
                "measured": row.value,
                "result": row.status,
                "evidence": str(row.evidence or "–"),
                "note": row.reason or row.criterion.note,
                "source": "; ".join(row.criterion.citations),
            }
            for row in self.rows
        ]


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def criteria_of(
    record: Record, target: str, overlay: Map | None = None, *, called: Collection[str] = ()
) -> Criteria:
    """:func:`check` of a record whose beats, waves and measurements are found here."""
    beats = beats_of(record)
    return check(
        target, record, measured_record(record), overlay, waves_of(record, beats),
        called=called, stimuli=with_stimuli(record, beats.samples),
    )  # fmt: skip


def check(
    target: str,
    record: Record,
    measured: Measured,
    overlay: Map | None = None,
    waves: Segmentation | None = None,
    *,
    called: Collection[str] = (),
    stimuli: bool = False,
) -> Criteria:
    """The criteria of a target's row in the table of diagnoses, each on this record.

    Parameters
    ----------
    target
        SNOMED-CT code; without a row, or with a row without criteria, there are none.
    record, measured
        The record, for age, sex and labels, and its measurements.
    overlay, waves
        A map of the record and its waves, for the share of evidence; may be absent.
    called
        Codes that the model calls present; pacing among them switches the criteria off.
    stimuli
        Whether pacing stimuli were found (:func:`with_stimuli`).
    """
    row = find_diagnosis(target)
    known = row.criteria if row is not None else ()
    off = _off(record, measured, called, stimuli) if known else ""
    if off:
        return Criteria(target, (), off)
    return Criteria(
        target, tuple(_checked(item, record, measured, overlay, waves) for item in known)
    )


def _off(record: Record, measured: Measured, called: Collection[str], stimuli: bool) -> str:
    """Why criteria of adults with conducted, certain beats do not hold; empty where they do."""
    if not measured.heart_rate.measurable:
        return "fewer than two beats were found"
    if measured.heart_rate.confidence < DOUBTFUL_BELOW:
        return f"the beats are doubtful (confidence {measured.heart_rate.confidence:.2f})"
    if record.age is not None and record.age < _ADULT_CRITERIA:
        return f"they are those of adults, and the patient is {record.age:.0f} years old"
    pacing = set(aliases(_PACING))
    if not pacing.isdisjoint(record.labels or ()):
        return "the record is labelled as paced: QRS, ST and T follow the stimulus"
    if stimuli:
        return "most beats follow a stimulus: QRS, ST and T of a paced rhythm follow the stimulus"
    if not pacing.isdisjoint(called):
        return "the model calls a paced rhythm: QRS, ST and T would follow the stimulus"
    return ""


def with_stimuli(record: Record, r_peaks: IntArray) -> bool:
    """Whether most beats follow a pacing stimulus: more than 0.25 mV narrower than 8 ms, in any
    lead in the 0.12 s before the R peak. Stimuli are told from 500 Hz on only: below, and in
    records with a low-pass filter, they are missed.

    Parameters
    ----------
    record
        Signal in mV.
    r_peaks
        ``int64[beat]``, samples.
    """
    before = round(_STIMULUS_SEC * record.fs)
    peaks = r_peaks[r_peaks >= before]
    if record.fs < _STIMULUS_FS or not peaks.size:
        return False
    values: FloatArray = np.nan_to_num(np.asarray(record.signal, np.float64))
    smooth = median_of_five(values, max(1, round(record.fs / 500.0)))
    narrow = np.abs(values - smooth).max(axis=0)
    highest = [float(narrow[peak - before : peak].max()) for peak in peaks]
    return bool(np.median(highest) > _STIMULUS_MV)


def _checked(
    item: Criterion,
    record: Record,
    measured: Measured,
    overlay: Map | None,
    waves: Segmentation | None,
) -> Checked:
    evidence = None
    if overlay is not None and item.measure not in _FROM_BEAT_TO_BEAT:
        evidence = evidence_in(overlay, item.leads, item.waves, waves)
    if not item.measure:
        return Checked(item, None, "", None, item.note, evidence)
    value, lead = _value(item, measured)
    reason, met = "", None
    if not value.measurable:
        reason = value.note or "not measurable in this record"
    elif value.confidence < LEAST_CONFIDENCE:
        reason = f"too uncertain (confidence {value.confidence:.2f})"
    else:
        met = _met(item, value, record.sex)
        reason = "the limit depends on the sex, which is unknown" if met is None else ""
    return Checked(item, value, lead, met, reason, evidence)


def _value(item: Criterion, measured: Measured) -> tuple[Measurement, str]:
    """The measurement that decides a criterion, and the lead or leads that it was taken in."""
    if item.measure in OF_RECORD:
        try:
            return OF_RECORD[item.measure](measured), ""
        except KeyError as missing:
            return Measurement(_NAN, "mV", 0.0, _NAN, 0, f"lead {missing.args[0]} is missing"), ""
    found = {lead: OF_LEAD[item.measure](w) for lead, w in measured.leads.items()}
    found = {lead: found[lead] for lead in item.leads if lead in found}
    absent = [lead for lead in item.leads if lead not in found]
    unknown = next((m for m in found.values() if not m.measurable), None)
    if item.of == "every" and (absent or unknown is not None):
        note = f"lead {absent[0]} is missing" if absent or unknown is None else unknown.note
        return Measurement(_NAN, "mV", 0.0, _NAN, 0, note), ""
    known = {lead: m for lead, m in found.items() if m.measurable}
    upward = item.at_least is not None or item.above is not None
    single: list[tuple[str, ...]] = [(lead,) for lead in known]
    groups = [g for g in (NEIGHBOURS if item.of == "pair" else single) if set(g) <= known.keys()]
    if not groups:
        note = unknown.note if unknown is not None else "the leads are missing"
        return Measurement(_NAN, "mV", 0.0, _NAN, 0, note), ""
    hard, easy = (min, max) if upward else (max, min)
    weakest = {group: hard(group, key=lambda lead: known[lead].value) for group in groups}
    choose = hard if item.of == "every" else easy
    best = choose(groups, key=lambda group: known[weakest[group]].value)
    return known[weakest[best]], " and ".join(best)


def _digits(value: Measurement) -> int:
    return 2 if value.unit == "mV" else 0


def _met(item: Criterion, value: Measurement, sex: str | None) -> bool | None:
    """Whether the value, rounded as it is shown, keeps to the limits; ``None`` where the limit
    depends on a sex that is unknown and the two differ on it."""
    if item.women is None or sex == "male":
        return _within(item, value)
    if sex == "female":
        return _within(item, value, item.women)
    both = _within(item, value), _within(item, value, item.women)
    return both[0] if both[0] == both[1] else None


def _within(item: Criterion, value: Measurement, instead: float | None = None) -> bool:
    shown = round(value.value, _digits(value))

    def limit(own: float | None) -> float | None:
        return own if own is None or instead is None else instead

    at_least, above = limit(item.at_least), limit(item.above)
    at_most, below = limit(item.at_most), limit(item.below)
    return (
        (at_least is None or shown >= at_least)
        and (above is None or shown > above)
        and (at_most is None or shown <= at_most)
        and (below is None or shown < below)
    )


def evidence_in(
    overlay: Map, leads: Collection[str], waves: Collection[str], found: Segmentation | None
) -> Evidence | None:
    """The part of a map in some leads (none given = all) and waves.

    ``None`` where that would be the whole map: all leads, and segments that cut through waves.
    """
    rows = np.array([not leads or lead in leads for lead in overlay.leads])
    labels = waves_of_map(overlay, found)
    columns = np.array([labels is None or label in waves for label in labels or overlay.durations])
    if labels is None and rows.all():
        return None
    inside = rows[:, None] & columns[None, :]
    size = np.abs(np.nan_to_num(overlay.weights.astype(np.float64)))
    time = np.where(overlay.explored, overlay.durations[None, :], 0.0)
    total, explored = float(size.sum()), float(time.sum())
    if total <= 0 or explored <= 0:
        return None
    share, chance = float(size[inside].sum()) / total, float(time[inside].sum()) / explored
    return Evidence(share, chance, labels is not None)


def unseen_in_words(target: str, field_sec: float | None) -> str:
    """What a model with a short receptive field cannot see of a rhythm, as a clause.

    Parameters
    ----------
    target
        SNOMED-CT code. Whether it is a rhythm tell its criteria in the table of diagnoses: some are
        measured from beat to beat.
    field_sec
        Receptive field of one feature before the pooling, s; ``None`` = not known.

    Returns
    -------
    Empty where nothing is missed: another diagnosis, or a field that spans two usual beats.
    """
    row = find_diagnosis(target)
    if row is None or field_sec is None or field_sec >= TWO_BEATS_SEC:
        return ""
    measures = {criterion.measure for criterion in row.criteria}
    what = next((text for name, text in _FROM_BEAT_TO_BEAT.items() if name in measures), "")
    return f"the model sees {field_sec:.2g} s at a time, so {what}" if what else ""
