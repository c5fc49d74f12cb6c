"""The what-if edit that fits a diagnosis: its finding is taken away, and the model is asked again.

Where a record shows the finding, the answer is a sentence that an explanation may quote: "A PR
interval of 160 ms instead of 240 lowers p from 0.91 to 0.12." It shows what the model uses, not
what the patient has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.errors import ExplanationError
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.what_if import natural_range, ranges_digest
from ecgxai_core.signal.beats import find_beats
from ecgxai_core.signal.delineation import delineate
from ecgxai_core.signal.intervals import FEW_P_PERCENT, Measured, measure, measure_signal
from ecgxai_core.simulation.edits import EDITS, edited
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Record, probability_text

__all__ = ["FITTING", "Fitting", "Quote", "cached_quote", "first_edit", "quote", "quoted"]

_SMALL = 0.02
"""A probability that moves by less hardly changes."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What takes the finding of a diagnosis away.

    Attributes
    ----------
    edit
        One of :data:`ecgxai_core.simulation.edits.EDITS`.
    size
        Of the record's measurements: how much; ``None`` where the record does not show the finding.
    words
        Of the record's measurements and the size that is applied, which the bounds of the edit may
        have cut: the change as the subject of a sentence.
    """

    edit: str
    size: Callable[[Measured], float | None]
    words: Callable[[Measured, float], str]


def _to_normal(
    edit: str, name: str, normal: float, abnormal: Callable[[float], bool], words: str, unit: str
) -> Fitting:
    """Bring a measurement to a normal value where it is abnormal."""

    def size(found: Measured) -> float | None:
        value = found.named()[name].value
        return normal - value if np.isfinite(value) and abnormal(value) else None

    def said(found: Measured, by: float) -> str:
        value = found.named()[name].value
        return f"{words} of {value + by:.0f}{unit} instead of {value:.0f}"

    return Fitting(edit, size, said)


def _shorter_qt(found: Measured) -> float | None:
    """The QT that a QTc of 420 ms would have at the same rate, less the measured one."""
    qt, qtc = found.qt.value, found.qtc.value
    return qt * (420 / qtc - 1) if np.isfinite([qt, qtc]).all() and qtc >= 450 else None


def _other_qtc(found: Measured, by: float) -> str:
    qt, qtc = found.qt.value, found.qtc.value
    return f"A QTc of {qtc * (qt + by) / qt:.0f} ms instead of {qtc:.0f}"


def _constant(edit: str, size: float, words: str, shown: Callable[[Measured], bool]) -> Fitting:
    return Fitting(edit, lambda found: size if shown(found) else None, lambda *_: words)


def _p_waves(found: Measured) -> bool:
    return found.p_present.value >= FEW_P_PERCENT


_PR = _to_normal("pr", "PR", 160, lambda ms: ms > 200, "A PR interval", " ms")
_QRS = _to_normal("qrs", "QRS", 90, lambda ms: ms >= 110, "A QRS duration", " ms")
_FASTER = _to_normal("rate", "heart rate", 75, lambda r: r < 60, "A heart rate", "/min")
_SLOWER = _to_normal("rate", "heart rate", 75, lambda r: r > 100, "A heart rate", "/min")
_REGULAR = _constant("regular", 1.0, "Making the RR intervals equal", lambda found: found.irregular)
_NO_P = _constant("p_amplitude", 0.0, "Removing the P waves", _p_waves)
_NO_T = _constant("t_amplitude", 0.0, "Removing the T waves", lambda found: True)
_TALLER = _constant("gain", 2.0, "Doubling the voltages", lambda found: True)
_QT = Fitting("qt", _shorter_qt, _other_qtc)

FITTING: Mapping[str, Fitting] = {
    "426783006": _NO_P,
    "164889003": _REGULAR,
    "427393009": _REGULAR,
    "426177001": _FASTER,
    "426627000": _FASTER,
    "427084000": _SLOWER,
    "270492004": _PR,
    "164947007": _PR,
    "713427006": _QRS,
    "59118001": _QRS,
    "713426002": _QRS,
    "164909002": _QRS,
    "698252002": _QRS,
    "111975006": _QT,
    "251146004": _TALLER,
    "164934002": _NO_T,
    "59931005": _NO_T,
}
"""By code; aliases count. Limits: PR over 200 ms (Kusumoto 2019), QRS of 110 ms and more (Surawicz
2009), QTc of 450 ms and more (Rautaharju 2009), rates under 60 and over 100 (Goldberger 2018); the
values that take their place lie in the middle of what is normal, or as near to it as the edit goes.
Diagnoses whose finding no single edit takes away (premature beats, Q waves, axis, pacing) have
none."""


_MOVES: Mapping[str, str] = {
    "heart rate": "rate", "PR": "pr", "QRS": "qrs", "QTc": "qt", "RR irregularity": "regular",
    "P present": "p_amplitude", "P": "p_amplitude", "ST": "st_level", "T": "t_amplitude",
    "QRS voltage": "gain", "Sokolow-Lyon": "gain", "Cornell": "gain",
}  # fmt: skip
"""Which edit moves what a criterion measures (:mod:`ecgxai_core.pipeline.criteria`)."""

_CHEST = tuple(f"V{n}" for n in range(1, 7))


def first_edit(target: str) -> tuple[str, tuple[str, ...]]:
    """The edit that a what-if of a target begins with, and its leads (empty = all).

    It is that of :data:`FITTING`, else one that moves what a textbook criterion of the target
    measures, in the criterion's leads, else the T waves. An ST level begins in the criterion's
    chest leads, or in all six: as III = II - I and aVR = -(I + II) / 2, limb leads cannot all rise.
    """
    row = find_diagnosis(target)
    criteria = row.criteria if row is not None else ()
    fitting = next((FITTING[code] for code in aliases(target) if code in FITTING), None)
    moved = [(_MOVES[item.measure], item.leads) for item in criteria if item.measure in _MOVES]
    if fitting is not None:
        moved = [(fitting.edit, ()), *moved]
    for edit, leads in moved:
        if edit == "st_level":
            return edit, tuple(lead for lead in _CHEST if lead in leads) or _CHEST
        return edit, leads if edit == "t_amplitude" else ()
    return "t_amplitude", ()


@dataclass(frozen=True, slots=True)
class Quote:
    """What the model says of a record without the finding of its target.

    Attributes
    ----------
    edit, size
        What was changed, and by how much.
    words
        The change as the subject of a sentence.
    before, after
        Probability of the target.
    unusual
        Whether the changed record lies outside the natural range of the training data.
    """

    edit: str
    size: float
    words: str
    before: float
    after: float
    unusual: bool

    @property
    def sentence(self) -> str:
        """One sentence, plain text."""
        change, before = self.after - self.before, probability_text(self.before)
        numbers = f"{before} to {probability_text(self.after)}"
        if before == probability_text(self.after):
            said = f"{self.words} leaves p at {before}"
        elif abs(change) < _SMALL:
            said = f"{self.words} hardly changes p ({numbers})"
        else:
            said = f"{self.words} {'raises' if change > 0 else 'lowers'} p from {numbers}"
        if self.unusual:
            said += ", but the changed ECG is unlike the training data"
        return f"{said}."


def quote(case: Case) -> Quote | None:
    """Ask the model about the record without the finding of the case's target.

    Returns
    -------
    ``None`` where no edit fits the target, the record does not show the finding, or its waves leave
    no room for the change.
    """
    fitting = next((FITTING[code] for code in aliases(case.target) if code in FITTING), None)
    if fitting is None:
        return None
    record = case.record
    signal = record.signal, record.fs, record.leads
    beats = find_beats(*signal)
    waves = delineate(*signal, beats.peaks)
    measured = measure(waves, *signal, beats)
    size = fitting.size(measured)
    if size is None:
        return None
    edit = EDITS[fitting.edit]
    size = float(np.clip(size, edit.low, edit.high))
    try:
        changed = edited(record, fitting.edit, size, waves=waves)
    except ExplanationError:
        return None  # no waves to change, or no room
    inputs = [case.changed(record=one).model_input().values for one in (record, changed)]
    column = case.classifier.classes.index(case.target)
    before, after = (float(row[column]) for row in case.classifier.predict(np.stack(inputs)))
    words, unusual = fitting.words(measured, size), _unusual(changed, edit.measures)
    return Quote(fitting.edit, size, words, before, after, unusual)


def _unusual(changed: Record, name: str) -> bool:
    """Whether what the edit moves lies outside its natural range; that of leads has none here."""
    natural = natural_range(name)
    if natural is None:
        return False
    found = measure_signal(changed.signal, changed.fs, changed.leads).named()[name].value
    return bool(found < natural[0] or found > natural[1])


def quoted(case: Case, store: Store) -> Quote | None:
    """:func:`quote` through the cache."""
    entry = store.get(_key(case))
    if entry is None:
        made = quote(case)
        store.put(_key(case), {}, {"quote": None if made is None else asdict(made)})
        return made
    return _of(entry.meta)


def cached_quote(case: Case, store: Store) -> Quote | None:
    """What :func:`quoted` found before; nothing is computed."""
    entry = store.get(_key(case))
    return None if entry is None else _of(entry.meta)


def _key(case: Case) -> dict[str, object]:
    return cache_key("what-if quote", **case.key(), natural_ranges=ranges_digest())


def _of(meta: Mapping[str, object]) -> Quote | None:
    found = meta["quote"]
    return Quote(**found) if isinstance(found, dict) else None
